"""Efficient channel attention."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor, nn


class EfficientChannel(nn.Module):
    """Each channel times a factor between 0 and 1, a 1-D convolution over the means of neighbouring channels.

    The kernel covers |log2(width) / 2 + 1 / 2| channels, made odd: more in wider blocks.

    Use: channel attention for almost no parameters, when squeeze and excitation costs too much.

    Source: Wang et al., "ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks", CVPR 2020,
    section 3.2.3, with gamma = 2 and b = 1.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2) -> None:
        super().__init__()
        size = int((math.log2(width) + 1) / 2)
        size += 1 - size % 2
        self.convolution = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)
        nn.init.normal_(self.convolution.weight, std=size**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        means = x.flatten(2).mean(dim=2)
        weights = self.convolution(means.unsqueeze(1)).squeeze(1).sigmoid()
        return x * weights.view(*weights.shape, *[1] * (x.dim() - 2))

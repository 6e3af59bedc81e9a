"""Layer normalisation over channels."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LayerNorm(nn.Module):
    """Each position's channels to mean 0 and variance 1, then a learned factor and offset per channel.

    Use: the default: works with every mixer, any batch size and any device.

    Source: Ba et al., "Layer Normalization", 2016, section 3; over the channels of one position as in ConvNeXt (Liu
    et al., CVPR 2022, section 2.6).
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        return F.layer_norm(x.movedim(1, -1), self.weight.shape, self.weight, self.bias, eps=1e-6).movedim(-1, 1)

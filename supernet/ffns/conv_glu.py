"""Convolutional gated linear unit."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.ops.convolution import depthwise
from supernet.ops.linear import Linear, scaled, scaled_weight


class ConvGlu(nn.Module):
    """Hidden units times gates that see their neighbours: second(value * GELU(depthwise 3 x 3(gate))).

    There are 2/3 x expansion x width hidden units, so that an expansion costs what it costs in a plain MLP.

    Use: accuracy per parameter counts more than time: gated and local, for the parameters of an MLP.

    Source: Shi, "TransNeXt: Robust Foveal Visual Perception for Vision Transformers", CVPR 2024,
    section on Convolutional GLU.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"expansion": (1, 2, 3, 4, 6)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, expansion: int = 4) -> None:
        super().__init__()
        hidden = max(1, 2 * expansion * width // 3)
        self.first = scaled_weight(2, hidden, width)
        self.first_bias = nn.Parameter(torch.zeros(2, hidden))
        self.neighbours = depthwise(hidden, (3,) * ndim)
        self.second = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        weight = scaled(self.first.flatten(0, 1), x.shape[1])
        gate, value = F.linear(x.movedim(1, -1), weight, self.first_bias.flatten()).chunk(2, dim=-1)
        gate = F.gelu(self.neighbours(gate.movedim(-1, 1))).movedim(1, -1)
        return self.second(gate * value).movedim(-1, 1)

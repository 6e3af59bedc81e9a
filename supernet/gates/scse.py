"""Concurrent spatial and channel squeeze and excitation."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from supernet.gates.spatial_squeeze import SpatialSqueeze
from supernet.gates.squeeze_excitation import SqueezeExcitation


class Scse(nn.Module):
    """The larger of what channel and spatial excitation return, value by value.

    `ratio` is that of squeeze and excitation. Of the ways to combine the two that the paper compares this is max-out,
    the one in the authors' code.

    Use: when both which channels and which positions matter and the cost of two gates is affordable.

    Source: Roy et al., "Recalibrating Fully Convolutional Networks with Spatial and Channel 'Squeeze & Excitation'
    Blocks", IEEE TMI 2019, section on concurrent excitation (scSE).
    """

    choices: ClassVar[dict[str, tuple[float, ...]]] = SqueezeExcitation.choices
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, ratio: float = 0.25) -> None:
        super().__init__()
        self.channels = SqueezeExcitation(width, ndim=ndim, ratio=ratio)
        self.positions = SpatialSqueeze(width, ndim=ndim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        return torch.maximum(self.channels(x), self.positions(x))

"""Spatial excitation from squeezed channels."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from supernet.ops.linear import Linear


class SpatialSqueeze(nn.Module):
    """Each position times a factor between 0 and 1 that a linear map of its own channels gives.

    Use: dense or cluttered images, where it matters which positions count; costs almost nothing.

    Source: Roy et al., "Recalibrating Fully Convolutional Networks with Spatial and Channel 'Squeeze & Excitation'
    Blocks", IEEE TMI 2019, section on channel squeeze and spatial excitation (sSE).
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2) -> None:
        super().__init__()
        self.squeeze = Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        return x * self.squeeze(x.movedim(1, -1)).sigmoid().movedim(-1, 1)

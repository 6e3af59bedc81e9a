"""No gate."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn


class NoGate(nn.Module):
    """The input unchanged: every channel keeps its weight.

    Use: the fastest; mixers that weigh their channels themselves gain little from a gate.

    Source: Liu et al., "A ConvNet for the 2020s" (ConvNeXt), CVPR 2022, section 2: a block without channel attention.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        return x

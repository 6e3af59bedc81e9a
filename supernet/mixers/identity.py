"""No mixing of positions."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn


class Identity(nn.Module):
    """The input unchanged: positions exchange nothing, and the block's FFN is all that is left of it.

    Use: in late blocks that need no more mixing, and as the floor that other mixers are compared with.

    Source: Yu et al., "MetaFormer Baselines for Vision" (IdentityFormer), TPAMI 2024, section on IdentityFormer.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        return x

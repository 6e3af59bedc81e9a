"""Two-layer perceptron."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from supernet.ops.linear import Linear


class Mlp(nn.Module):
    """Two linear maps of the channels at each position, a GELU between them; `expansion` x width hidden units.

    Use: the fastest, and enough where the mixer is local already.

    Source: Dosovitskiy et al., "An Image Is Worth 16x16 Words" (ViT), ICLR 2021, section 3.1 and equation 3.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"expansion": (1, 2, 3, 4, 6)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, expansion: int = 4) -> None:
        super().__init__()
        self.first = Linear(width, expansion * width)
        self.second = Linear(expansion * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        return self.second(F.gelu(self.first(x.movedim(1, -1)))).movedim(-1, 1)

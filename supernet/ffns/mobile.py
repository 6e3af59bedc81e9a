"""Mobile convolution in place of the MLP."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from supernet.ops.inverted_bottleneck import InvertedBottleneck


class Mobile(nn.Module):
    """An inverted bottleneck: expand, GELU, depthwise convolution, layer norm, GELU, project.

    There are `expansion` x width hidden units. The paper puts it before attention, with three batch norms and a
    residual connection of its own; here the block adds the residual, and one layer norm after the convolution is
    enough, because the block's norm stands before the expansion, which keeps the scale.

    Use: small models and devices where depthwise convolutions are fast; with attention it makes a MOAT block.

    Source: Yang et al., "MOAT: Alternating Mobile Convolution and Attention Brings Strong Vision Models", ICLR 2023,
    section 3.1 and figure 1.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"expansion": (1, 2, 3, 4, 6), "kernel_size": (3, 5, 7)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, expansion: int = 4, kernel_size: int = 3) -> None:
        super().__init__()
        self.bottleneck = InvertedBottleneck(width, width, hidden=expansion * width, kernel_size=kernel_size, ndim=ndim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        return self.bottleneck(x)

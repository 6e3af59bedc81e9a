"""Convolutional feed-forward network."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from supernet.ops.convolution import depthwise
from supernet.ops.linear import Linear


class ConvFfn(nn.Module):
    """A two-layer perceptron whose hidden units see their neighbours: second(GELU(h + depthwise(h))), h = first(x).

    There are `expansion` x width hidden units. The paper's kernel is 3 wide.

    Use: beside mixers without a local bias of their own, such as attention or scans.

    Source: Shi et al., "Multi-Scale VMamba: Hierarchy in Hierarchy Visual State Space Model", NeurIPS 2024, section
    on the convolutional feed-forward network; the residual depthwise convolution is that of its published code.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"expansion": (1, 2, 3, 4, 6), "kernel_size": (3, 5, 7)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, expansion: int = 4, kernel_size: int = 3) -> None:
        super().__init__()
        self.first = Linear(width, expansion * width)
        self.neighbours = depthwise(expansion * width, (kernel_size,) * ndim)
        self.second = Linear(expansion * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        hidden = self.first(x.movedim(1, -1)).movedim(-1, 1)
        hidden = F.gelu(hidden + self.neighbours(hidden))
        return self.second(hidden.movedim(1, -1)).movedim(-1, 1)

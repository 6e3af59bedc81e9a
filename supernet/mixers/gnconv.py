"""Recursive gated convolution."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from search_space import UserError
from supernet.ops.convolution import FUNCTIONS, depthwise
from supernet.ops.linear import Linear, scaled, scaled_weight


class GnConv(nn.Module):
    """Interactions of a high order: features are multiplied by depthwise-convolved ones, widened, multiplied again.

    Level 0, the last one, has all `width` channels and level k has width // 2^k. With q_k the inputs projected to level
    k and convolved, p = start * q_(order-1), then p = rise_k(p) * q_k for k = order-2, ..., 0, and a last projection.
    The paper's factor 1/alpha is 1, since the weights start at unit variance.

    The input projection has 2 x width rows, as in the paper: its first half is level 0, its second half holds the
    deeper levels and the start, interleaved. Row i of it is of level k when i = 2^(k-1) - 1 modulo 2^k. A lower order
    reads the rows of the levels that it lacks as its start; the row counts agree because the levels below k together
    are as large as level k. Where 2^(order-1) does not divide the width a few rows stay unread.

    Use: where products of features help, at about three times the cost of a depthwise convolution.

    Source: Rao et al., "HorNet: Efficient High-Order Spatial Interactions with Recursive Gated Convolutions", NeurIPS
    2022, section 3.1.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"order": (2, 3, 4, 5), "kernel_size": (3, 5, 7, 9, 11)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, order: int = 3, kernel_size: int = 7) -> None:
        super().__init__()
        if width < 2 ** (order - 1):
            raise UserError(
                f"gnconv of order {order} needs a width of {2 ** (order - 1)} or more, not {width}; "
                "widen the stage or lower the order in [search_space]"
            )
        self.widths = [width >> level for level in range(order)]
        self.inputs = scaled_weight(2, width, width)
        self.bias = nn.Parameter(torch.zeros(2, width))
        self.contexts = nn.ModuleList(depthwise(each, (kernel_size,) * ndim) for each in self.widths)
        self.rises = nn.ModuleList(Linear(each // 2, each) for each in self.widths[:-1])
        self.output = Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        weight = scaled(self._rows(self.inputs), x.shape[1])
        projected = F.linear(x.movedim(1, -1), weight, self._rows(self.bias))
        p, context = projected.split([self.widths[-1], sum(self.widths)], dim=-1)
        levels = self._convolve(context.movedim(-1, 1)).movedim(1, -1).split(self.widths, dim=-1)
        p = p * levels[-1]
        for rise, level in zip(reversed(self.rises), reversed(levels[:-1]), strict=True):
            p = rise(p) * level
        return self.output(p).movedim(-1, 1)

    def _rows(self, inputs: Tensor) -> Tensor:
        """(2, width, ...) -> the rows of the start, then those of level 0, level 1, ...: (about 2 x width, ...)."""
        last, deeper = inputs
        step = 2 ** (len(self.widths) - 1)
        levels = [deeper[2 ** (k - 1) - 1 :: 2**k][:each] for k, each in enumerate(self.widths) if k]
        return torch.cat([deeper[step - 1 :: step], last, *levels])

    def _convolve(self, context: Tensor) -> Tensor:
        """All levels in one call: (batch, sum(widths), *spatial) -> the same."""
        convolutions = cast(Iterable[_ConvNd], self.contexts)
        weight = torch.cat([convolution.weight for convolution in convolutions])
        bias = torch.cat([cast(Tensor, convolution.bias) for convolution in convolutions])
        padding = tuple(size // 2 for size in weight.shape[2:])
        return FUNCTIONS[context.dim() - 2](context, weight, bias, padding=padding, groups=len(weight))

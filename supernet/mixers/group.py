"""Grouped convolution with groups of constant size."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.ops.convolution import FUNCTIONS
from supernet.ops.linear import scaled, scaled_weight


class Group(nn.Module):
    """A k x k convolution in which every channel sees the `group_size` channels of its group.

    The number of groups follows from the width, not the other way round, so that a channel has as many inputs at every
    width. Column o of the weight of channel i belongs to channel i xor o. Over the columns below a power of two these
    are the channels of its group, and they are the same ones in groups of every size: small groups use the leading
    columns of large ones. Channels that the last group lacks count as zero.

    Use: mixing of positions and of a few channels at once, dearer than depthwise and far cheaper than dense; beside
    ffns that are narrow.

    Source: Jha et al., "E2GC: Energy-efficient Group Convolution in Deep Neural Networks", VLSI Design 2020 (constant
    group size); the choice of columns is ours.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"group_size": (2, 4, 8, 16, 32), "kernel_size": (3, 5, 7)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)
    centred: ClassVar[dict[str, tuple[int, ...]]] = {"weight": (2, 3, 4)}

    def __init__(self, width: int, *, ndim: int = 2, group_size: int = 8, kernel_size: int = 3) -> None:
        super().__init__()
        self.weight = scaled_weight(width, group_size, *(kernel_size,) * ndim)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        width, group_size, *kernel = self.weight.shape
        ndim, missing = len(kernel), -width % group_size
        weight = scaled(self._by_channel(), min(width, group_size) * math.prod(kernel))
        bias: Tensor = self.bias
        if missing:
            x = F.pad(x, (0, 0) * ndim + (0, missing))
            weight = F.pad(weight, (0, 0) * (ndim + 1) + (0, missing))
            bias = F.pad(bias, (0, missing))
        padding = tuple(size // 2 for size in kernel)
        out = FUNCTIONS[ndim](x, weight, bias, padding=padding, groups=len(weight) // group_size)
        return out[:, :width]

    def _by_channel(self) -> Tensor:
        """The weight with the inputs of each group in the order of the channels: (width, group_size, *kernel)."""
        width, group_size, *kernel = self.weight.shape
        place = torch.arange(group_size, device=self.weight.device)
        column = (place[:, None] ^ place).repeat(-(-width // group_size), 1)[:width]
        return self.weight.gather(1, column.view(width, group_size, *[1] * len(kernel)).expand(self.weight.shape))

"""Efficient local attention."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUP = 8
"""Channel i is normalised together with the others of group i // GROUP at every width."""


class EfficientLocal(nn.Module):
    """Each value times one factor between 0 and 1 for each axis, from the means of the slices across that axis.

    Along an axis the means pass a depthwise convolution, group norm and a sigmoid. One kernel and one norm serve all
    axes, so that an image and its transpose are weighed alike. Groups have a constant size instead of a constant
    number; where that does not divide the width, the last group is smaller.

    Use: objects that fill some rows and columns: it points at them for less than attention costs.

    Source: Xu & Wan, "ELA: Efficient Local Attention for Deep Convolutional Neural Networks", 2024, section 3.3;
    with depthwise kernels as in ELA-T and ELA-B.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"kernel_size": (3, 5, 7, 9)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, kernel_size: int = 7) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, width, kernel_size, padding=kernel_size // 2, groups=width, bias=False)
        nn.init.normal_(self.convolution.weight, std=kernel_size**-0.5)
        self.norm = _GroupNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        out, axes = x, range(2, x.dim())
        for axis in axes:
            others = [other for other in axes if other != axis]
            means = x.mean(dim=others) if others else x
            weights = self.norm(self.convolution(means)).sigmoid()
            out = out * weights.view(*x.shape[:2], *[x.shape[other] if other == axis else 1 for other in axes])
        return out


class _GroupNorm(nn.Module):
    """Each GROUP channels of an image to mean 0 and variance 1, then a learned factor and offset per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        width = x.shape[1]
        whole = width - width % GROUP
        parts = [
            F.group_norm(x[:, first:last], num_groups, self.weight[first:last], self.bias[first:last])
            for first, last, num_groups in ((0, whole, whole // GROUP), (whole, width, 1))
            if first < last
        ]
        return torch.cat(parts, dim=1)

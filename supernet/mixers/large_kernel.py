"""Large depthwise kernel with small dilated ones beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from supernet.ops.depthwise_convolution import crop, depthwise_convolution
from supernet.ops.depthwise_convolution.module import DepthwiseConvolution

DILATIONS = (1, 2, 3, 4, 5, 7)


class LargeKernel(nn.Module):
    """A K x K convolution of every channel on its own, plus small kernels of several dilations, which find sparse
    patterns; their sum is one K x K kernel.

    Dilation 1 has 5 taps along each axis, dilation 2 as many as K has room for but at most 9, dilations 3, 4, 5 and 7
    have 3 where K has room. That is what the authors' code has for K = 7, 9, 11 and 13; for 15 and 17 it leaves out
    one of these dilations, which would make a branch come and go as K grows, and it has no larger K. Their batch norms,
    whose statistics would mix those of all subnets, are a learned factor for each channel and branch instead: linear
    addition with scales, as in the third source. The kernels are summed before the convolution, so that the small ones
    cost next to nothing, and `fold` keeps only the sum. Taps beyond the image are left out.

    Use: a wide view in a single layer that deploys as one convolution.

    Source: Ding et al., "UniRepLKNet: A Universal Perception Large-Kernel ConvNet for Audio, Video, Point Cloud,
    Time-Series and Image Recognition", CVPR 2024, section on the Dilated Reparam Block; kernels up to 31: Ding et al.,
    "Scaling Up Your Kernels to 31x31", CVPR 2022; scales in place of norms: Ding et al., "Re-parameterizing Your
    Optimizers rather than Architectures", ICLR 2023 (constant-scale linear addition; the scales are learned here).
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"kernel_size": (7, 9, 11, 13, 15, 17, 21, 25, 31)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, kernel_size: int = 13) -> None:
        super().__init__()
        sizes = {dilation: _size(dilation, kernel_size) for dilation in DILATIONS}
        sizes = {dilation: size for dilation, size in sizes.items() if size > 1}
        scale = (1 + len(sizes)) ** -0.5
        self.large = _Kernel(width, (kernel_size,) * ndim, scale)
        self.dilated = nn.ModuleDict({str(d): _Kernel(width, (size,) * ndim, scale) for d, size in sizes.items()})
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        return depthwise_convolution(x, self._kernel(x.shape[2:]), self.bias)

    def fold(self) -> nn.Module:
        """The same convolution with its one kernel."""
        return DepthwiseConvolution(self._kernel(self.large.weight.shape[2:]), self.bias.clone())

    def _kernel(self, spatial: Sequence[int]) -> Tensor:
        """The sum of all kernels, as far as it can meet an image of this size: (width, 1, *kernel)."""
        total = crop(self.large(), spatial)
        for name, kernel in self.dilated.items():
            dilation = int(name)
            taps = crop(kernel(), spatial, dilation)
            total[_spread(taps.shape[2:], total.shape[2:], dilation)] += taps
        return total


class _Kernel(nn.Module):
    """A kernel, started at unit variance for unit-variance inputs, times a factor for each channel."""

    centred: ClassVar[dict[str, tuple[int, ...]]] = {"weight": (2, 3, 4)}

    def __init__(self, width: int, sizes: tuple[int, ...], scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, 1, *sizes).normal_(std=math.prod(sizes) ** -0.5))
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self) -> Tensor:
        return self.weight * self.scale.view(-1, *[1] * (self.weight.dim() - 1))


def _spread(taps: Sequence[int], kernel: Sequence[int], dilation: int) -> tuple[Any, ...]:
    """The places of taps so far apart, around the centre of a dense kernel."""
    starts = [full // 2 - size // 2 * dilation for size, full in zip(taps, kernel, strict=True)]
    return (..., *(slice(start, full - start, dilation) for start, full in zip(starts, kernel, strict=True)))


def _size(dilation: int, kernel_size: int) -> int:
    """Taps along an axis: as many as there is room for, an odd number, but no more than the dilation's largest."""
    room = kernel_size // 2 // dilation
    return 2 * min(room, {1: 2, 2: 4}.get(dilation, 1)) + 1

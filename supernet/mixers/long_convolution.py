"""Long convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from supernet.ops.fft_convolution import fft_convolution
from supernet.ops.precision import promoted, without_autocast

KNOTS = 5
"""Values per axis of a sub-kernel, at every scale."""


class LongConvolution(nn.Module):
    """A depthwise convolution whose kernel is a sum of sub-kernels, each twice as wide as the last and of less weight.

    Sub-kernel i holds 5 values per axis, 2^i positions apart, with linear interpolation between them and down to zero
    beyond, and the weight 2^(-i ndim). So the kernel is detailed near its centre and smooth far from it, reaches
    3 x 2^(num_scales - 1) - 1 positions to every side, and its parameters grow with the logarithm of its reach. They do
    not depend on the size of the image. With one scale it is an ordinary convolution of kernel size 5.

    The paper defines the kernel for sequences and puts the sub-kernels end to end; here it covers all axes at once and
    both sides, and the sub-kernels are summed, as in one mode of the public code. In place of the paper's norm Z of the
    first kernel they start at a variance of one over their number of values. Computed through the Fourier transform, in
    float32 at least.

    Use: for a global field of view with few parameters and no attention, also on long sequences.

    Source: Li et al., "What Makes Convolutional Models Great on Long Sequence Modeling?" (SGConv), ICLR 2023, equation
    1. Fu et al., "Simple Hardware-Efficient Long Convolutions for Sequence Modeling", ICML 2023, learn every value of
    the kernel instead and set the small ones to zero.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"num_scales": (1, 2, 3, 4, 5, 6, 8, 10)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, num_scales: int = 4) -> None:
        super().__init__()
        taps = (KNOTS,) * ndim
        self.kernels = nn.Parameter(torch.empty(num_scales, width, *taps).normal_(std=KNOTS ** (-ndim / 2)))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        with without_autocast(x):
            kernel = self._kernel(x.shape[2:])
        return fft_convolution(x.movedim(1, -1), kernel).movedim(-1, 1)

    def _kernel(self, spatial: Sequence[int]) -> Tensor:
        """What of the kernel can meet an image of this size: (*taps, width)."""
        sub_kernels = promoted(self.kernels)
        widest = (KNOTS // 2 + 1) * 2 ** (len(sub_kernels) - 1) - 1
        reaches = [min(widest, size - 1) for size in spatial]
        scales = []
        for i, sub_kernel in enumerate(sub_kernels):
            scale = sub_kernel * 2.0 ** (-i * len(spatial))
            for reach in reaches:
                scale = torch.tensordot(scale, _interpolation(reach, 2**i, scale), dims=([1], [1]))
            scales.append(scale)
        return torch.stack(scales).sum(dim=0).movedim(0, -1)


def _interpolation(reach: int, spacing: int, like: Tensor) -> Tensor:
    """The part of every knot in the offsets -reach, ..., reach: (offsets, KNOTS)."""
    options: Any = {"dtype": like.dtype, "device": like.device}
    offsets = torch.arange(-reach, reach + 1, **options) / spacing
    knots = torch.arange(-(KNOTS // 2), KNOTS // 2 + 1, **options)
    return (1 - (offsets[:, None] - knots).abs()).relu()

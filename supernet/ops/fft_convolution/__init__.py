"""Depthwise convolution with kernels as large as the image, by the convolution theorem."""

from __future__ import annotations

from torch import Tensor

from supernet.ops.fft_convolution.spectral import by_fft, by_matrices
from supernet.ops.precision import promoted, without_autocast

__all__ = ["fft_convolution"]

LONGEST = 64
"""Positions per axis up to which the products with Fourier matrices are faster.

Forward and backward on one CPU thread, for kernels that reach over the whole image: at 7 x 7, 14 x 14 and 28 x 28
positions they take 0.4 of the time of `torch.fft`, at 56 x 56 0.5, on lines of 64 positions 0.9 and of 256 1.8.
"""


def fft_convolution(x: Tensor, kernel: Tensor) -> Tensor:
    """Images (batch, *spatial, channels), with zeros around them, and kernels (*taps, channels) -> as the images.

    The numbers of taps are odd and of any size. Nothing wraps around. Computed in float32 at least, because a
    coefficient sums over the whole image.
    """
    spatial = x.shape[1:-1]
    for axis, size in enumerate(spatial):
        unused = max(0, kernel.shape[axis] // 2 - size + 1)
        kernel = kernel.narrow(axis, unused, kernel.shape[axis] - 2 * unused)
    convolve = by_matrices if max(spatial) <= LONGEST else by_fft
    with without_autocast(x):
        return convolve(promoted(x), promoted(kernel)).to(x.dtype)

"""Depthwise convolution with kernels as large as the image, by the convolution theorem."""

from __future__ import annotations

from torch import Tensor

from supernet.ops.fft_convolution.spectral import by_fft, by_matrices
from supernet.ops.precision import promoted, without_autocast

__all__ = ["fft_convolution"]

LONGEST = {1: 32, 2: 128, 3: 128}
"""Number of axes -> positions per axis up to which the products with Fourier matrices are faster.

Forward and backward on one CPU thread, for kernels that reach over the whole image: at 14 x 14 and 56 x 56 positions
they take 0.5 of the time of `torch.fft`, at 80 x 80 0.3, at 128 x 128 1.0; on lines of 64 positions 1.3, of 256 1.9.
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
    convolve = by_matrices if max(spatial) <= LONGEST[len(spatial)] else by_fft
    with without_autocast(x):
        return convolve(promoted(x), promoted(kernel)).to(x.dtype)

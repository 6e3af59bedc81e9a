"""Convolution as a product of spectra, over a period with room for what falls outside the image.

An image of n positions and a kernel that reaches r positions to either side need a period of n + r: what wraps around
falls on the r positions that are not in the image.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from supernet.ops.fourier import dft, inverse_dft


def by_matrices(x: Tensor, kernel: Tensor) -> Tensor:
    """(batch, *spatial, channels), and (*taps, channels) of at most 2n - 1 taps, -> (batch, *spatial, channels)."""
    spatial = x.shape[1:-1]
    reaches = [taps // 2 for taps in kernel.shape[:-1]]
    periods = [size + reach for size, reach in zip(spatial, reaches, strict=True)]
    a, b = dft(x, periods=periods).unbind(1)
    # the transform conserves energy, so that the spectrum of a convolution is sqrt(period) times the product
    c, d = (
        dft(kernel[None], periods=periods, starts=[-reach for reach in reaches]) * math.prod(periods) ** 0.5
    ).unbind(1)
    return inverse_dft(torch.stack([a * c - b * d, a * d + b * c], dim=1), spatial, periods=periods)


def by_fft(x: Tensor, kernel: Tensor) -> Tensor:
    """The same, for long axes."""
    spatial = x.shape[1:-1]
    reaches = [taps // 2 for taps in kernel.shape[:-1]]
    periods = [_power_of_two(size + reach) for size, reach in zip(spatial, reaches, strict=True)]
    axes = list(range(-len(spatial), 0))
    image, kernel = x.movedim(-1, 1), kernel.movedim(-1, 0).contiguous()
    product = torch.fft.rfftn(image, periods, axes) * torch.fft.rfftn(kernel, periods, axes)
    out = torch.fft.irfftn(product, periods, axes)
    for axis, size, reach in zip(axes, spatial, reaches, strict=True):
        out = out.narrow(axis, reach, size)
    return out.movedim(1, -1)


def _power_of_two(size: int) -> int:
    """The next one. Other sizes cost torch little more, but lose digits in ONNX Runtime."""
    return 1 << (size - 1).bit_length()

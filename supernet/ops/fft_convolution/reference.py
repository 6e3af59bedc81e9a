"""Depthwise convolution by its definition, a sum over the offsets of a kernel."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor


def fft_convolution(x: Tensor, kernel: Tensor) -> Tensor:
    """out[p] = sum over offsets o of kernel[o] x[p - o], where x is 0 outside the image.

    (batch, *spatial, channels) and (*taps, channels) -> (batch, *spatial, channels); offset 0 is the middle tap.
    """
    spatial = x.shape[1:-1]
    out = torch.zeros_like(x)
    for tap in itertools.product(*map(range, kernel.shape[:-1])):
        offsets = [i - taps // 2 for i, taps in zip(tap, kernel.shape[:-1], strict=True)]
        if all(abs(offset) < size for offset, size in zip(offsets, spatial, strict=True)):
            shifted = x
            for axis, (offset, size) in enumerate(zip(offsets, spatial, strict=True), start=1):
                kept = shifted.narrow(axis, max(0, -offset), size - abs(offset))
                zeros = torch.zeros_like(shifted.narrow(axis, 0, abs(offset)))
                shifted = torch.cat([zeros, kept] if offset > 0 else [kept, zeros], dim=axis)
            out = out + kernel[tap] * shifted
    return out

"""The discrete Fourier transform of real images by matrix products, with only the low frequencies if so wished.

Images here are small: products with small matrices are exact, keep channels last and cost less the fewer frequencies
are kept. Frequencies of the last axis are those of `torch.fft.rfftn`, 0, 1, ..., n/2; those of the others are
0, 1, ..., -2, -1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def frequencies(period: int, modes: int | None = None, *, half: bool) -> list[int]:
    """The frequencies of an axis, those whose absolute value is below `modes`, in the order of `torch.fft`."""
    modes = period if modes is None else modes
    kept = [k for k in range(period // 2 + 1) if k < modes]
    negative = [] if half else [-k for k in reversed(range(1, (period + 1) // 2)) if k < modes]
    return kept + negative


def dft(
    x: Tensor, modes: int | None = None, periods: Sequence[int] | None = None, starts: Sequence[int] | None = None
) -> Tensor:
    """Coefficients (batch, 2, *kept, channels), real part then imaginary part, of images (batch, *spatial, channels).

    The image counts as one period of a periodic one; with `periods`, as followed by zeros up to a period of that size.
    `starts` is where in the period its first position lies; it may be negative. Normalised to conserve energy, as
    `norm="ortho"`.
    """
    spatial, channels = x.shape[1:-1], x.shape[-1]
    kept: list[int] = []
    for axis in reversed(range(len(spatial))):
        half = axis == len(spatial) - 1
        period = periods[axis] if periods else spatial[axis]
        cos, sin = _waves(
            frequencies(period, modes, half=half), spatial[axis], period, starts[axis] if starts else 0, x
        )
        x = _forward(cos, sin, half) @ x.reshape(-1, spatial[axis] * (1 if half else 2), math.prod(kept) * channels)
        kept = [len(cos), *kept]
    return x.reshape(-1, 2, *kept, channels)


def inverse_dft(
    z: Tensor, spatial: Sequence[int], modes: int | None = None, periods: Sequence[int] | None = None
) -> Tensor:
    """Real images (batch, *spatial, channels) of coefficients (batch, 2, *kept, channels); all others count as 0.

    With `periods`, the first `spatial` positions of images of that size.
    """
    channels = z.shape[-1]
    remaining = list(z.shape[2:-1])
    for axis, size in enumerate(spatial):
        half = axis == len(spatial) - 1
        period = periods[axis] if periods else size
        kept = frequencies(period, modes, half=half)
        cos, sin = _waves(kept, size, period, 0, z)
        matrix = _inverse_half(cos, sin, kept, period) if half else _inverse(cos, sin)
        remaining = remaining[1:]
        z = matrix @ z.reshape(-1, matrix.shape[1], math.prod(remaining) * channels)
    return z.reshape(-1, *spatial, channels)


def _waves(kept: list[int], size: int, period: int, start: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every kept frequency at every position: (kept, size) each."""
    position = torch.arange(start, start + size, device=like.device)
    turns = torch.outer(torch.tensor(kept, device=like.device), position) % period
    angle = turns.to(like.dtype) * (2 * math.pi / period)
    return angle.cos() / math.sqrt(period), angle.sin() / math.sqrt(period)


def _forward(cos: Tensor, sin: Tensor, half: bool) -> Tensor:
    """Real input for the last axis, (2 kept, size); for another, pairs of real and imaginary: (2 kept, size x 2)."""
    if half:
        return torch.cat([cos, -sin])
    real = torch.stack([cos, sin], dim=2).flatten(1)
    imaginary = torch.stack([-sin, cos], dim=2).flatten(1)
    return torch.cat([real, imaginary])


def _inverse(cos: Tensor, sin: Tensor) -> Tensor:
    """(size x 2, 2 kept): pairs of real and imaginary."""
    real = torch.cat([cos, -sin]).T
    imaginary = torch.cat([sin, cos]).T
    return torch.stack([real, imaginary], dim=1).flatten(0, 1)


def _inverse_half(cos: Tensor, sin: Tensor, kept: list[int], period: int) -> Tensor:
    """(size, 2 kept): real output; a frequency whose negative was left out counts twice."""
    times = torch.tensor([[1 if 2 * k % period == 0 else 2] for k in kept], dtype=cos.dtype, device=cos.device)
    return torch.cat([times * cos, -times * sin]).T

"""The Fourier transform by `torch.fft`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from supernet.ops.fourier.matrices import frequencies


def dft(
    x: Tensor, modes: int | None = None, periods: Sequence[int] | None = None, starts: Sequence[int] | None = None
) -> Tensor:
    """(batch, *spatial, channels) -> (batch, 2, *kept, channels)."""
    axes = tuple(range(1, x.dim() - 1))
    periods = periods or x.shape[1:-1]
    for axis, period in zip(axes, periods, strict=True):
        missing = x.new_zeros(*x.shape[:axis], period - x.shape[axis], *x.shape[axis + 1 :])
        x = torch.cat([x, missing], dim=axis)
    spectrum = torch.fft.rfftn(x.roll(tuple(starts or [0] * len(axes)), axes), dim=axes, norm="ortho")
    for axis, period in zip(axes, periods, strict=True):
        kept = frequencies(period, modes, half=axis == axes[-1])
        spectrum = spectrum.index_select(axis, torch.tensor([k % period for k in kept]))
    return torch.stack([spectrum.real, spectrum.imag], dim=1)


def inverse_dft(
    z: Tensor, spatial: Sequence[int], modes: int | None = None, periods: Sequence[int] | None = None
) -> Tensor:
    """(batch, 2, *kept, channels) -> (batch, *spatial, channels)."""
    axes = tuple(range(1, len(spatial) + 1))
    periods = tuple(periods or spatial)
    spectrum = torch.complex(*z.unbind(1))
    for axis, period in zip(axes, periods, strict=True):
        half = axis == axes[-1]
        every = z.new_zeros(*spectrum.shape[:axis], period // 2 + 1 if half else period, *spectrum.shape[axis + 1 :])
        kept = torch.tensor([k % period for k in frequencies(period, modes, half=half)])
        spectrum = every.to(spectrum.dtype).index_copy(axis, kept, spectrum)
    image = torch.fft.irfftn(spectrum, s=periods, dim=axes, norm="ortho")
    for axis, size in zip(axes, spatial, strict=True):
        image = image.narrow(axis, 0, size)
    return image

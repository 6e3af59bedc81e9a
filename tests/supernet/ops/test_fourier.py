"""The Fourier transform by matrices against torch.fft."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from supernet.ops.fourier import dft, inverse_dft, reference

SIZES = [(1,), (2,), (7,), (8,), (1, 5), (5, 6), (6, 4), (4, 3, 5), (2, 6, 4)]


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def _assert_same(ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """Equal values and gradients."""
    x.requires_grad_()
    out, expected = ours(x), theirs(x)
    torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-9)
    direction = _normal(*out.shape, seed=1)
    torch.testing.assert_close(
        torch.autograd.grad(out, x, direction)[0],
        torch.autograd.grad(expected, x, direction)[0],
        rtol=1e-9,
        atol=1e-9,
    )


@pytest.mark.parametrize("spatial", SIZES)
@pytest.mark.parametrize("modes", [1, 2, 3, None])
@pytest.mark.parametrize("longer", [0, 1, 4])
def test_both_directions_are_those_of_torch(spatial: tuple[int, ...], modes: int | None, longer: int) -> None:
    periods = [size + longer for size in spatial]
    starts = range(-2, len(spatial) - 2)
    x = _normal(2, *spatial, 3)
    _assert_same(lambda x: dft(x, modes, periods, starts), lambda x: reference.dft(x, modes, periods, starts), x)
    z = dft(_normal(2, *periods, 3), modes)
    _assert_same(
        lambda z: inverse_dft(z, spatial, modes, periods),
        lambda z: reference.inverse_dft(z, spatial, modes, periods),
        z,
    )


@pytest.mark.parametrize("spatial", SIZES)
def test_the_inverse_with_all_frequencies_gives_the_image_back(spatial: tuple[int, ...]) -> None:
    x = _normal(2, *spatial, 3)
    torch.testing.assert_close(inverse_dft(dft(x), spatial), x)


@pytest.mark.parametrize("spatial", [(7,), (5, 6), (4, 3, 5)])
def test_a_single_frequency_has_one_coefficient(spatial: tuple[int, ...]) -> None:
    position = torch.arange(spatial[-1], dtype=torch.float64)
    wave = torch.cos(2 * torch.pi * position / spatial[-1]).expand(spatial)[None, ..., None]
    energy = dft(wave).square().sum(dim=1)[0, ..., 0]
    assert energy[(0,) * (len(spatial) - 1)][1] > 0.1
    assert (energy > 1e-12).sum() == 1

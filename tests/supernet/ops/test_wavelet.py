"""The Haar transform against its matrices, and what makes it a wavelet transform."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from supernet.ops.wavelet import analysis, reference, synthesis

SIZES = [(1,), (2,), (7,), (1, 5), (4, 6), (5, 3), (2, 3, 5), (4, 1, 2)]


def _images(spatial: tuple[int, ...]) -> Tensor:
    return torch.randn(2, *spatial, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def _assert_same(ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """Equal values and gradients."""
    x.requires_grad_()
    out, expected = ours(x), theirs(x)
    torch.testing.assert_close(out, expected)
    direction = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        torch.autograd.grad(out, x, direction)[0], torch.autograd.grad(expected, x, direction)[0]
    )


@pytest.mark.parametrize("spatial", SIZES)
def test_sums_and_differences_are_products_with_the_matrices(spatial: tuple[int, ...]) -> None:
    _assert_same(analysis, reference.analysis, _images(spatial))
    half = tuple(-(-size // 2) for size in spatial)
    bands = _images((*half, 2 ** len(spatial)))
    _assert_same(lambda z: synthesis(z, spatial), lambda z: reference.synthesis(z, spatial), bands)


@given(spatial=st.lists(st.integers(1, 9), min_size=1, max_size=3), levels=st.integers(0, 4))
def test_any_image_is_reconstructed_from_any_number_of_levels(spatial: list[int], levels: int) -> None:
    image = _images(tuple(spatial))
    low, sizes, details = image, [], []
    for _ in range(levels):
        sizes.append(low.shape[1:-1])
        bands = analysis(low)
        low, detail = bands.split([1, 2 ** len(spatial) - 1], dim=-2)
        low = low.squeeze(-2)
        details.append(detail)
    for size, detail in zip(reversed(sizes), reversed(details), strict=True):
        low = synthesis(torch.cat([low.unsqueeze(-2), detail], dim=-2), size)
    torch.testing.assert_close(low, image)


@pytest.mark.parametrize("spatial", [(6,), (4, 8), (2, 4, 6)])
def test_energy_is_kept_where_the_size_is_even(spatial: tuple[int, ...]) -> None:
    image = _images(spatial)
    torch.testing.assert_close(analysis(image).square().sum(), image.square().sum())


def test_the_bands_of_a_known_image() -> None:
    image = torch.tensor([[1.0, 2.0, 5.0], [3.0, 4.0, 7.0]])[None, ..., None]
    expected = torch.tensor([[[5.0, -1.0, -2.0, 0.0], [12.0, 0.0, -2.0, 0.0]]])[None, ..., None]
    torch.testing.assert_close(analysis(image), expected)


@pytest.mark.parametrize("spatial", SIZES)
def test_a_constant_image_has_no_details(spatial: tuple[int, ...]) -> None:
    bands = analysis(torch.ones(1, *spatial, 1, dtype=torch.float64))
    assert (bands[..., 1:, :] == 0).all()
    torch.testing.assert_close(bands[..., 0, :], torch.full_like(bands[..., 0, :], math.sqrt(2 ** len(spatial))))

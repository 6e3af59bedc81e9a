"""Convolution through the Fourier domain against the sum over offsets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from supernet.ops.fft_convolution import LONGEST, fft_convolution, reference
from supernet.ops.fft_convolution.spectral import by_fft, by_matrices

Convolution = Callable[[Tensor, Tensor], Tensor]

ODD = st.integers(0, 5).map(lambda reach: 2 * reach + 1)


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def _assert_same(convolve: Convolution, x: Tensor, kernel: Tensor) -> None:
    """Equal values and gradients."""
    inputs = (x.requires_grad_(), kernel.requires_grad_())
    out, expected = convolve(*inputs), reference.fft_convolution(*inputs)
    torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-9)
    direction = _normal(*out.shape, seed=2)
    for ours, theirs in zip(
        torch.autograd.grad(out, inputs, direction), torch.autograd.grad(expected, inputs, direction), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("convolve", [by_matrices, by_fft])
@pytest.mark.parametrize(
    ("spatial", "taps"),
    [((1,), (1,)), ((8,), (15,)), ((7,), (5,)), ((5, 6), (9, 3)), ((6, 1), (11, 1)), ((2, 3, 4), (3, 5, 7))],
)
def test_both_paths_are_the_direct_convolution(
    convolve: Convolution, spatial: tuple[int, ...], taps: tuple[int, ...]
) -> None:
    _assert_same(convolve, _normal(2, *spatial, 3), _normal(*taps, 3, seed=1))


@settings(max_examples=25)
@given(axes=st.lists(st.tuples(st.integers(1, 5), ODD), min_size=1, max_size=3))
def test_kernels_may_be_shorter_and_longer_than_the_image(axes: list[tuple[int, int]]) -> None:
    spatial, taps = zip(*axes, strict=True)
    _assert_same(fft_convolution, _normal(1, *spatial, 2), _normal(*taps, 2, seed=1))


@pytest.mark.parametrize("size", [LONGEST[1], LONGEST[1] + 1, 301])
def test_either_side_of_the_change_of_path(size: int) -> None:
    _assert_same(fft_convolution, _normal(2, size, 2), _normal(2 * size - 1, 2, seed=1))


@pytest.mark.parametrize("size", [9, LONGEST[1] + 2])
def test_nothing_wraps_around(size: int) -> None:
    """A kernel that moves the last position out of the image leaves nothing at the other end."""
    x, kernel = torch.zeros(1, size, 1), torch.zeros(2 * size - 1, 1)
    x[0, -1], kernel[size:] = 1, 1
    assert fft_convolution(x, kernel).abs().max() < 1e-5
    assert (fft_convolution(x.flip(1), kernel)[0, 1:] - 1).abs().max() < 1e-5


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("size", [20, 100])
def test_sums_are_in_float32_in_every_precision(autocast: bool, size: int) -> None:
    x, kernel = _normal(2, size, 3).bfloat16(), _normal(2 * size - 1, 3, seed=1).bfloat16()
    expected = reference.fft_convolution(x.double(), kernel.double())
    x, kernel = (x.float(), kernel.float()) if autocast else (x, kernel)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        out = fft_convolution(x, kernel)
    assert out.dtype == x.dtype
    tolerance = 1e-5 if autocast else 2**-8
    torch.testing.assert_close(out.double(), expected, rtol=tolerance, atol=1e-4)


@pytest.mark.parametrize("size", [20, 100])
def test_shapes_are_known_without_values(size: int) -> None:
    x = torch.empty(2, size, 3, device="meta")
    assert fft_convolution(x, torch.empty(2 * size - 1, 3, device="meta")).shape == x.shape

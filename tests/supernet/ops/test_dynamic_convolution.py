"""Dynamic convolution against its definition, and where it is an ordinary convolution."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from supernet.ops.convolution import FUNCTIONS
from supernet.ops.dynamic_convolution import dynamic_convolution
from supernet.ops.dynamic_convolution.reference import dynamic_convolution as reference

SPATIAL = [(1,), (2,), (7,), (1, 1), (5, 3), (1, 4), (2, 3, 4), (3, 1, 2)]


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))


def _assert_equals_reference(x: Tensor, weight: Tensor, group_size: int) -> None:
    x, weight = x.requires_grad_(), weight.requires_grad_()
    out, expected = dynamic_convolution(x, weight, group_size), reference(x, weight, group_size)
    torch.testing.assert_close(out, expected)
    direction = _random(*out.shape, seed=2)
    ours = torch.autograd.grad(out, (x, weight), direction)
    torch.testing.assert_close(ours, torch.autograd.grad(expected, (x, weight), direction))


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("width", [6, 7])
def test_every_position_has_its_own_kernel(spatial: tuple[int, ...], kernel_size: int, width: int) -> None:
    weight = _random(2, -(-width // 3), kernel_size ** len(spatial), *spatial, seed=1)
    _assert_equals_reference(_random(2, width, *spatial), weight, 3)


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize("group_size", [1, 3])
def test_spatial_axes_of_size_1_are_one_kernel_for_the_image(spatial: tuple[int, ...], group_size: int) -> None:
    weight = _random(2, -(-5 // group_size), 3 ** len(spatial), *[1] * len(spatial), seed=1)
    _assert_equals_reference(_random(2, 5, *spatial), weight, group_size)


@pytest.mark.parametrize("spatial", SPATIAL)
def test_a_constant_kernel_is_an_ordinary_convolution(spatial: tuple[int, ...]) -> None:
    ndim = len(spatial)
    x, kernels = _random(2, 7, *spatial), _random(3, 5**ndim, seed=1)
    out = dynamic_convolution(x, kernels.view(1, *kernels.shape, *[1] * ndim).expand(2, -1, -1, *spatial), 3)
    ordinary = kernels.repeat_interleave(3, dim=0)[:7].view(7, 1, *[5] * ndim)
    torch.testing.assert_close(out, FUNCTIONS[ndim](x, ordinary, padding=2, groups=7))


@pytest.mark.parametrize("spatial", SPATIAL)
def test_a_kernel_of_one_tap_shifts_the_image(spatial: tuple[int, ...]) -> None:
    x, taps = _random(2, 6, *spatial), 3 ** len(spatial)
    delta = torch.zeros(2, 2, taps, *spatial, dtype=x.dtype)
    delta[:, :, taps // 2] = 1
    assert torch.equal(dynamic_convolution(x, delta, 3), x)
    behind = torch.zeros_like(delta)
    behind[:, :, taps // 2 + 1] = 1
    shifted = torch.cat([x[..., 1:], torch.zeros_like(x[..., :1])], dim=-1)
    assert torch.equal(dynamic_convolution(x, behind, 3), shifted)


@pytest.mark.parametrize("spatial", SPATIAL)
def test_the_centre_of_a_kernel_is_the_smaller_kernel(spatial: tuple[int, ...]) -> None:
    ndim = len(spatial)
    x, small = _random(2, 4, *spatial), _random(2, 2, *[3] * ndim, *spatial, seed=1)
    large = torch.zeros(2, 2, *[5] * ndim, *spatial, dtype=x.dtype)
    large[(slice(None), slice(None), *[slice(1, 4)] * ndim)] = small
    taps = slice(2, 2 + ndim)
    flat = [w.flatten(taps.start, taps.stop - 1) for w in (large, small)]
    torch.testing.assert_close(dynamic_convolution(x, flat[0], 2), dynamic_convolution(x, flat[1], 2))


def test_a_narrower_image_meets_the_same_kernels() -> None:
    x, weight = _random(2, 16, 5, 3), _random(2, 4, 9, 5, 3, seed=1)
    full = dynamic_convolution(x, weight, 4)
    for width in (1, 4, 7, 12):
        part = dynamic_convolution(x[:, :width], weight[:, : -(-width // 4)], 4)
        assert torch.equal(part, full[:, :width])


@pytest.mark.parametrize("shape", [(2, 3, 9, 5, 3), (2, 2, 16, 5, 3), (2, 2, 8, 5, 3)])
def test_a_weight_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="does not fit 6 channels in groups of 3"):
        dynamic_convolution(_random(2, 6, 5, 3), _random(*shape), 3)

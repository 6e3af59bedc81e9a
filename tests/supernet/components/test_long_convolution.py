"""Long convolution against its kernel written out offset by offset."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from supernet.mixers.long_convolution import LongConvolution
from supernet.ops.convolution import FUNCTIONS
from supernet.ops.fft_convolution import reference


def _kernel(sub_kernels: Tensor, spatial: tuple[int, ...]) -> Tensor:
    """The weight of every offset that fits into the image: (*taps, width)."""
    ndim = len(spatial)
    rows = []
    for offset in itertools.product(*(range(1 - size, size) for size in spatial)):
        weight = sub_kernels.new_zeros(sub_kernels.shape[1])
        for scale, sub_kernel in enumerate(sub_kernels):
            for knot in itertools.product(range(-2, 3), repeat=ndim):
                share = 0.5 ** (scale * ndim)
                for o, k in zip(offset, knot, strict=True):
                    share *= max(0.0, 1 - abs(o / 2**scale - k))
                if share:
                    weight = weight + share * sub_kernel[(slice(None), *(k + 2 for k in knot))]
        rows.append(weight)
    return torch.stack(rows).view(*(2 * size - 1 for size in spatial), -1)


@pytest.mark.parametrize("spatial", [(1,), (9,), (5, 4), (3, 1, 2)])
@pytest.mark.parametrize("num_scales", [1, 2, 5])
def test_the_kernel_is_a_sum_of_interpolated_sub_kernels(
    spatial: tuple[int, ...], num_scales: int, assert_same: Callable[..., None]
) -> None:
    module = LongConvolution(3, ndim=len(spatial), num_scales=num_scales)

    def reference_mixer(x: Tensor) -> Tensor:
        kernel = _kernel(module.kernels, spatial)
        return reference.fft_convolution(x.movedim(1, -1), kernel).movedim(-1, 1)

    assert_same(module, reference_mixer, torch.randn(2, 3, *spatial))


@pytest.mark.parametrize("spatial", [(70,), (7, 8), (5, 6, 7)])
def test_one_scale_is_an_ordinary_convolution(spatial: tuple[int, ...], assert_same: Callable[..., None]) -> None:
    ndim = len(spatial)
    module = LongConvolution(3, ndim=ndim, num_scales=1)

    def convolution(x: Tensor) -> Tensor:
        """torch correlates: its kernels are mirrored."""
        kernel = module.kernels[0].flip(*range(1, 1 + ndim)).unsqueeze(1)
        return FUNCTIONS[ndim](x, kernel, padding=2, groups=3)

    assert_same(module, convolution, torch.randn(2, 3, *spatial))


@pytest.mark.parametrize("num_scales", [1, 2, 4, 6])
def test_the_kernel_reaches_as_far_as_the_docstring_says(num_scales: int) -> None:
    x = torch.zeros(1, 4, 301)
    x[..., 150] = 1
    seen = (LongConvolution(4, ndim=1, num_scales=num_scales)(x).abs() > 1e-6).any(dim=1)[0].nonzero()
    reach = 3 * 2 ** (num_scales - 1) - 1
    assert (int(seen.min()), int(seen.max())) == (150 - reach, 150 + reach)


def test_the_kernel_near_the_centre_is_the_same_in_images_of_every_size() -> None:
    module, small = LongConvolution(4, num_scales=3), torch.zeros(1, 4, 9, 9)
    small[..., 4, 4] = 1
    large = torch.nn.functional.pad(small, (10, 13, 40, 35))
    torch.testing.assert_close(module(large)[..., 40:49, 10:19], module(small))

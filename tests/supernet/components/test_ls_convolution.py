"""Large-small convolution against its definition, and where it is an ordinary convolution."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from supernet.mixers.ls_convolution import LsConvolution
from supernet.ops.convolution import FUNCTIONS
from supernet.ops.dynamic_convolution.reference import dynamic_convolution
from supernet.ops.linear import REFERENCE_FAN_IN, Linear
from supernet.slicing import cut

SPATIAL = (5, 3, 4)


def _images(width: int, ndim: int) -> Tensor:
    return torch.randn(2, width, *SPATIAL[:ndim], generator=torch.Generator().manual_seed(0))


def _randomise(module: LsConvolution) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("small_kernel_size", [3, 5])
@pytest.mark.parametrize("width", [16, 19])
def test_what_it_sees_around_a_position_makes_the_kernel_there(
    ndim: int, small_kernel_size: int, width: int, assert_same: Callable[..., None]
) -> None:
    module = LsConvolution(width, ndim=ndim, large_kernel_size=7, small_kernel_size=small_kernel_size)
    _randomise(module)

    def project(layer: Linear, x: Tensor) -> Tensor:
        scale = (REFERENCE_FAN_IN / x.shape[1]) ** 0.5
        return torch.einsum("oi,bi...->bo...", layer.weight, x) * scale + layer.bias.view(-1, *[1] * ndim)

    def reference(x: Tensor) -> Tensor:
        look, hidden = module.look, project(module.reduce, x).relu()
        hidden = FUNCTIONS[ndim](hidden, look.weight, look.bias, padding=3, groups=width // 2)
        hidden = project(module.mix, hidden).relu()
        groups = []
        for kernels, factor, offset in zip(module.kernels, module.factor, module.offset, strict=True):
            scale = (REFERENCE_FAN_IN / len(kernels)) ** 0.5
            predicted = torch.einsum("ht,bh...->bt...", kernels.flatten(1), hidden) * scale
            every = tuple(range(1, predicted.dim()))
            variance = predicted.var(dim=every, correction=0, keepdim=True)
            predicted = (predicted - predicted.mean(dim=every, keepdim=True)) / (variance + 1e-5).sqrt()
            per_tap = (-1, *[1] * ndim)
            predicted = predicted * factor.flatten().view(per_tap) + offset.flatten().view(per_tap)
            groups.append(predicted / small_kernel_size ** (ndim / 2))
        return dynamic_convolution(x, torch.stack(groups, dim=1), 8)

    assert_same(module, reference, _images(width, ndim))


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_offsets_alone_are_an_ordinary_convolution_of_groups_of_8(ndim: int) -> None:
    module = LsConvolution(20, ndim=ndim, small_kernel_size=3)
    with torch.no_grad():
        module.kernels.zero_()
        module.offset.normal_()
    kernels = module.offset.repeat_interleave(8, dim=0)[:20].unsqueeze(1) / 3 ** (ndim / 2)
    x = _images(20, ndim)
    torch.testing.assert_close(module(x), FUNCTIONS[ndim](x, kernels, padding=1, groups=20))


def test_a_group_keeps_its_kernel_at_every_width() -> None:
    full, x = LsConvolution(32), _images(32, 2)
    with torch.no_grad():
        full.kernels.zero_()
        full.offset.normal_()
    for width in (8, 13, 24):
        part = LsConvolution(width)
        groups = len(part.offset)
        with torch.no_grad():
            part.kernels.zero_()
            part.offset.copy_(full.offset[:groups])
        torch.testing.assert_close(part(x[:, :width]), full(x)[:, :width])


def test_a_larger_kernel_is_the_smaller_one_when_its_outer_taps_are_zero() -> None:
    large, small, x = LsConvolution(16, small_kernel_size=5), LsConvolution(16, small_kernel_size=3), _images(16, 2)
    with torch.no_grad():
        large.kernels.zero_()
        small.kernels.zero_()
        small.offset.normal_()
        cut(large.offset, small.offset.shape, LsConvolution.centred["offset"]).copy_(small.offset)
    torch.testing.assert_close(5 * large(x), 3 * small(x))

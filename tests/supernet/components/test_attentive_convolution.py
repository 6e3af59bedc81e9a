"""Attentive convolution against its definition; its routing and its inhibition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.mixers.attentive_convolution import AttentiveConvolution
from supernet.ops.convolution import FUNCTIONS
from supernet.ops.linear import REFERENCE_FAN_IN, Linear
from supernet.slicing import cut

SPATIAL = (7, 5, 4)
AVERAGES: dict[int, Any] = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}


def _images(width: int, *spatial: int) -> Tensor:
    return torch.randn(2, width, *spatial, generator=torch.Generator().manual_seed(0))


def _project(layer: Linear, x: Tensor) -> Tensor:
    scale = (REFERENCE_FAN_IN / x.shape[1]) ** 0.5
    return torch.einsum("oi,bi...->bo...", layer.weight, x) * scale + layer.bias.view(-1, *[1] * (x.dim() - 2))


@pytest.mark.parametrize("spatial", [SPATIAL[:1], SPATIAL[:2], SPATIAL, (1,), (2, 1)])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_every_image_has_one_kernel_per_channel(
    spatial: tuple[int, ...], kernel_size: int, assert_same: Callable[..., None]
) -> None:
    ndim = len(spatial)
    module = AttentiveConvolution(5, ndim=ndim, kernel_size=kernel_size)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()

    def reference(x: Tensor) -> Tensor:
        # Of the published code, averages come after the projection: the same, since both are linear.
        context = F.gelu(AVERAGES[ndim](_project(module.context, x), 3))
        value = _project(module.value, x)
        images = []
        for image, regions in zip(value, context, strict=True):
            channels = []
            for i in range(len(image)):
                kernel = torch.einsum("r,rt->t", regions[i].flatten(), module.kernels.flatten(1))
                kernel = kernel + module.offset.flatten()
                kernel = kernel - module.inhibition[i].sigmoid() * kernel.mean()
                kernel = kernel.view(1, 1, *[kernel_size] * ndim)
                channels.append(FUNCTIONS[ndim](image[i][None, None], kernel, padding=kernel_size // 2))
            images.append(torch.cat(channels, dim=1))
        return _project(module.output, torch.cat(images))

    assert_same(module, reference, _images(5, *spatial))


def test_without_routing_and_inhibition_it_starts_as_two_linear_maps() -> None:
    module, x = AttentiveConvolution(6), _images(6, 5, 4)
    with torch.no_grad():
        module.kernels.zero_()
        module.inhibition.fill_(-torch.inf)
    torch.testing.assert_close(module(x), _project(module.output, _project(module.value, x)))


def test_full_inhibition_answers_to_differences_only() -> None:
    module, x = AttentiveConvolution(6), _images(6, 1, 1).expand(-1, -1, 7, 7)
    with torch.no_grad():
        module.inhibition.fill_(torch.inf)
        module.output.bias.normal_()
    inside = module(x)[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(inside, module.output.bias[:, None, None].expand_as(inside))


def test_the_kernel_depends_on_the_means_of_regions() -> None:
    module, x = AttentiveConvolution(6), _images(6, 6, 9)
    swapped = x.unflatten(3, (3, 3)).flip(4).flatten(3)
    torch.testing.assert_close(module._kernels(swapped), module._kernels(x))
    assert not torch.allclose(module._kernels(x.flip(3)), module._kernels(x), atol=1e-3)


def test_a_larger_kernel_is_the_smaller_one_when_its_outer_taps_are_zero() -> None:
    large, small, x = AttentiveConvolution(6, kernel_size=5), AttentiveConvolution(6, kernel_size=3), _images(6, 7, 5)
    with torch.no_grad():
        for name, parameter in large.named_parameters():
            if name in AttentiveConvolution.centred:
                part = small.get_parameter(name)
                parameter.zero_()
                cut(parameter, part.shape, AttentiveConvolution.centred[name]).copy_(part)
            else:
                small.get_parameter(name).copy_(parameter)
        large.inhibition.fill_(-torch.inf)
        small.inhibition.fill_(-torch.inf)
    torch.testing.assert_close(large(x), small(x))

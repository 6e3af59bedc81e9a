"""Stems against the same sums written out, at sizes that their strides do not divide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from supernet.ops.convolution import FUNCTIONS
from supernet.ops.linear import REFERENCE_FAN_IN
from supernet.ops.patches import patch_means
from supernet.stems.convolution import Convolution
from supernet.stems.cross_scale import CrossScale
from supernet.stems.mobile import Mobile
from supernet.stems.patch import Patch
from supernet.stems.residual_reduction import ResidualReduction
from supernet.stems.space_to_depth import SpaceToDepth

SPATIAL = [(11,), (1, 1), (5, 9), (3, 4, 7)]


def _images(width: int, *spatial: int) -> Tensor:
    return torch.randn(2, width, *spatial, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (8, 4)])
def test_patch_maps_each_patch_by_itself(stride: int, size: tuple[int, int], assert_same: Callable[..., None]) -> None:
    convolution: Any = (module := Patch(3, 6, stride=stride)).convolution
    rows, columns = (-(-each // stride) for each in size)

    def reference(x: Tensor) -> Tensor:
        padded = x.new_zeros(2, 3, rows * stride, columns * stride)
        padded[:, :, : size[0], : size[1]] = x
        out = x.new_zeros(2, 6, rows, columns)
        weight = convolution.weight * (REFERENCE_FAN_IN / (3 * stride**2)) ** 0.5
        for i in range(rows):
            for j in range(columns):
                patch = padded[:, :, i * stride : (i + 1) * stride, j * stride : (j + 1) * stride]
                out[:, :, i, j] = torch.einsum("oihw,bihw->bo", weight, patch) + convolution.bias
        return out

    assert_same(module, reference, _images(3, *size))


@pytest.mark.parametrize(("stride", "count"), [(1, 1), (2, 1), (4, 2), (16, 4)])
def test_the_convolutional_stem_halves_and_normalises_layer_by_layer(stride: int, count: int) -> None:
    module = Convolution(3, 6, stride=stride).double()
    convolutions: list[Any] = list(module.convolutions)
    assert len(convolutions) == count

    def reference(x: Tensor) -> Tensor:
        for i, convolution in enumerate(convolutions):
            x = F.conv2d(x if i == 0 else F.gelu(x), convolution.weight, stride=1 if stride == 1 else 2, padding=1)
            mean, variance = x.mean(dim=1, keepdim=True), x.var(dim=1, correction=0, keepdim=True)
            x = (x - mean) / (variance + 1e-6).sqrt()
        return x

    x = _images(3, 9, 13).double()
    torch.testing.assert_close(module(x), reference(x))


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_space_to_depth_is_patch_embedding(
    spatial: tuple[int, ...], stride: int, assert_same: Callable[..., None]
) -> None:
    module = SpaceToDepth(3, 6, ndim=len(spatial), stride=stride)
    patch = Patch(3, 6, ndim=len(spatial), stride=stride)
    with torch.no_grad():
        module.bias.normal_()

    def reference(x: Tensor) -> Tensor:
        parameters: dict[str, Tensor] = {f"convolution.{name}": value for name, value in module.named_parameters()}
        return functional_call(patch, parameters, (x,))

    assert_same(module, reference, _images(3, *spatial))


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize("in_channels", [3, 9])
def test_residual_reduction_adds_a_normalised_convolution_to_the_means_of_patches(
    spatial: tuple[int, ...], stride: int, in_channels: int, assert_same: Callable[..., None]
) -> None:
    module = ResidualReduction(in_channels, 6, ndim=len(spatial), stride=stride)
    convolution: Any = module.convolution
    with torch.no_grad():
        convolution.bias.normal_()

    def reference(x: Tensor) -> Tensor:
        half = stride // 2
        branch = FUNCTIONS[len(spatial)](x, convolution.weight, convolution.bias, stride=stride, padding=half)
        mean, variance = branch.mean(dim=1, keepdim=True), branch.var(dim=1, correction=0, keepdim=True)
        shape = (-1, *[1] * len(spatial))
        branch = (branch - mean) / (variance + 1e-6).sqrt() * module.norm.weight.view(shape)
        means = patch_means(x, stride)
        missing = means.new_zeros(2, max(0, 6 - in_channels), *means.shape[2:])
        return branch + module.norm.bias.view(shape) + torch.cat([means[:, :6], missing], dim=1)

    assert_same(module, reference, _images(in_channels, *spatial))


@pytest.mark.parametrize("in_channels", [3, 9])
def test_residual_reduction_without_its_branch_is_the_mean_of_each_patch(in_channels: int) -> None:
    module, x = ResidualReduction(in_channels, 6, stride=2), _images(in_channels, 5, 3)
    with torch.no_grad():
        module.norm.weight.zero_()
    out, shared = module(x), min(in_channels, 6)
    torch.testing.assert_close(out[:, :shared, 0, 0], x[:, :shared, :2, :2].mean(dim=(2, 3)))
    torch.testing.assert_close(out[:, :shared, 2, 1], x[:, :shared, 4, 2])
    assert out[:, shared:].count_nonzero() == 0


@pytest.mark.parametrize("spatial", [(11,), (5, 9), (3, 4, 2)])
@pytest.mark.parametrize("num_scales", [1, 2, 4])
@pytest.mark.parametrize("width", [5, 19])
def test_a_channel_of_cross_scale_is_a_strided_convolution_of_its_own_size(
    spatial: tuple[int, ...], num_scales: int, width: int, assert_same: Callable[..., None]
) -> None:
    module = CrossScale(3, width, ndim=len(spatial), stride=2, num_scales=num_scales)
    scales: list[Any] = list(module.scales)
    members = [[i for i in range(width) if i % 8 in share] for share in ((0, 2, 4, 6), (1, 5), (3,), (7,))]
    with torch.no_grad():
        for scale in scales:
            scale.bias.normal_()

    def reference(x: Tensor) -> Tensor:
        x = F.pad(x, [end for size in reversed(spatial) for end in (0, size % 2)])
        channels = []
        for i in range(width):
            number = next(number for number, own in enumerate(members) if i in own)
            row, size = members[number].index(i), 2 * 2 ** min(number, num_scales - 1)
            weight = scales[number].weight[row : row + 1]
            assert weight.shape[1:] == (3, *(size,) * len(spatial))
            weight = weight * (REFERENCE_FAN_IN / weight.numel()) ** 0.5
            bias = scales[number].bias[row : row + 1]
            channels.append(FUNCTIONS[len(spatial)](x, weight, bias, stride=2, padding=size // 2 - 1))
        return torch.cat(channels, dim=1)

    assert_same(module, reference, _images(3, *spatial))


@pytest.mark.parametrize("num_scales", [2, 4])
def test_a_channel_of_cross_scale_keeps_its_scale_at_every_width(num_scales: int) -> None:
    full, x = CrossScale(3, 64, num_scales=num_scales), _images(3, 5, 9)
    for width in (6, 23, 40):
        small = CrossScale(3, width, num_scales=num_scales)
        parameters = dict(full.named_parameters())
        small.load_state_dict({name: parameters[name][: len(part)] for name, part in small.named_parameters()})
        torch.testing.assert_close(small(x), full(x)[:, :width])


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize(("stride", "count"), [(1, 1), (2, 1), (4, 2)])
def test_mobile_adds_a_strided_bottleneck_to_a_map_of_the_means(
    spatial: tuple[int, ...], stride: int, count: int, assert_same: Callable[..., None]
) -> None:
    module = Mobile(3, 6, ndim=len(spatial), stride=stride, expansion=2)
    blocks: list[Any] = list(module.blocks)
    assert len(blocks) == count
    halving = min(stride, 2)

    def linear(x: Tensor, layer: Any) -> Tensor:
        return layer(x.movedim(1, -1)).movedim(-1, 1)

    def reference(x: Tensor) -> Tensor:
        for block in blocks:
            hidden, depthwise = F.gelu(linear(x, block.branch.expand)), block.branch.depthwise
            hidden = FUNCTIONS[len(spatial)](
                hidden, depthwise.weight, depthwise.bias, stride=halving, padding=1, groups=12
            )
            branch = linear(F.gelu(block.branch.norm(hidden)), block.branch.project)
            x = branch + linear(patch_means(x, halving), block.shortcut)
        return x

    assert_same(module, reference, _images(3, *spatial))


def test_a_mobile_stem_is_the_beginning_of_one_of_larger_stride() -> None:
    larger, smaller, x = Mobile(3, 6, stride=8), Mobile(3, 6, stride=4), _images(3, 9, 13)
    smaller.load_state_dict({name: dict(larger.named_parameters())[name] for name in smaller.state_dict()})
    assert torch.equal(smaller(x), larger.blocks[:2](x))

"""Gates against the same sums written out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.gates.efficient_channel import EfficientChannel
from supernet.gates.efficient_local import EfficientLocal
from supernet.gates.scse import Scse
from supernet.gates.spatial_squeeze import SpatialSqueeze
from supernet.gates.squeeze_excitation import SqueezeExcitation
from supernet.ops.linear import REFERENCE_FAN_IN, Linear

SPATIAL = [(1,), (9,), (1, 1), (5, 7), (3, 4, 2)]


def _images(width: int, *spatial: int) -> Tensor:
    return torch.randn(2, width, *spatial, generator=torch.Generator().manual_seed(0))


def _map(x: Tensor, layer: Linear) -> Tensor:
    """(batch, in_features, ...) -> (batch, out_features, ...)."""
    weight = layer.weight * (REFERENCE_FAN_IN / layer.weight.shape[1]) ** 0.5
    return torch.einsum("oi,bi...->bo...", weight, x) + layer.bias.view(-1, *[1] * (x.dim() - 2))


@pytest.mark.parametrize("ratio", [0.0625, 0.5])
def test_squeeze_excitation_weighs_channels_by_a_perceptron_of_their_means(
    ratio: float, assert_same: Callable[..., None]
) -> None:
    module = SqueezeExcitation(20, ratio=ratio)
    assert module.squeeze.weight.shape == (int(20 * ratio), 20)

    def reference(x: Tensor) -> Tensor:
        means = x.sum(dim=(2, 3), keepdim=True) / (5 * 7)
        return x / (1 + (-_map(_map(means, module.squeeze).relu(), module.excite)).exp())

    assert_same(module, reference, _images(20, 5, 7))


@pytest.mark.parametrize(("width", "size"), [(16, 3), (64, 3), (128, 5), (512, 5), (2048, 7)])
def test_efficient_channel_looks_at_more_neighbours_in_wider_blocks(width: int, size: int) -> None:
    assert EfficientChannel(width).convolution.weight.shape == (1, 1, size)


def test_efficient_channel_weighs_channels_by_their_neighbours(assert_same: Callable[..., None]) -> None:
    module = EfficientChannel(128)

    def reference(x: Tensor) -> Tensor:
        means = F.pad(x.mean(dim=(2, 3)), (2, 2))
        logits = sum(module.convolution.weight[0, 0, j] * means[:, j : j + 128] for j in range(5))
        assert isinstance(logits, Tensor)
        return x * logits.sigmoid()[:, :, None, None]

    assert_same(module, reference, _images(128, 3, 4))


@pytest.mark.parametrize("spatial", SPATIAL)
def test_spatial_squeeze_weighs_positions_by_their_channels(
    spatial: tuple[int, ...], assert_same: Callable[..., None]
) -> None:
    module = SpatialSqueeze(10, ndim=len(spatial))

    def reference(x: Tensor) -> Tensor:
        weights = module.squeeze.weight[0] * (REFERENCE_FAN_IN / 10) ** 0.5
        logits = torch.stack([weight * x[:, i] for i, weight in enumerate(weights)]).sum(dim=0) + module.squeeze.bias
        return x / (1 + (-logits).exp()).unsqueeze(1)

    assert_same(module, reference, _images(10, *spatial))


@pytest.mark.parametrize("spatial", SPATIAL)
def test_scse_is_the_larger_of_its_halves(spatial: tuple[int, ...], assert_same: Callable[..., None]) -> None:
    module = Scse(10, ndim=len(spatial), ratio=0.5)

    def reference(x: Tensor) -> Tensor:
        means = x.flatten(2).mean(dim=2)
        by_channel = _map(_map(means, module.channels.squeeze).relu(), module.channels.excite).sigmoid()
        by_channel = by_channel.view(*means.shape, *[1] * len(spatial)) * x
        by_position = _map(x, module.positions.squeeze).sigmoid() * x
        return torch.where(by_channel > by_position, by_channel, by_position)

    assert_same(module, reference, _images(10, *spatial))


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize("width", [5, 16, 19])
def test_efficient_local_weighs_each_axis_by_its_own_means(
    spatial: tuple[int, ...], width: int, assert_same: Callable[..., None]
) -> None:
    module = EfficientLocal(width, ndim=len(spatial), kernel_size=5)
    with torch.no_grad():
        module.norm.weight.normal_()
        module.norm.bias.normal_()

    def logits(signal: Tensor) -> Tensor:
        """(batch, width, length) -> the same."""
        padded = F.pad(signal, (2, 2))
        kernel, length = module.convolution.weight[:, 0], signal.shape[2]
        convolved = torch.stack([kernel[:, j, None] * padded[..., j : j + length] for j in range(5)]).sum(dim=0)
        normalised = []
        for i in range(width):
            group = convolved[:, i // 8 * 8 : i // 8 * 8 + 8].flatten(1)
            mean, variance = group.mean(dim=1, keepdim=True), group.var(dim=1, correction=0, keepdim=True)
            normalised.append((convolved[:, i] - mean) / (variance + 1e-5).sqrt())
        return torch.stack(normalised, dim=1) * module.norm.weight[:, None] + module.norm.bias[:, None]

    def reference(x: Tensor) -> Tensor:
        out = x
        for axis in range(2, x.dim()):
            means = x.movedim(axis, 2).reshape(*x.shape[:2], x.shape[axis], -1).mean(dim=3)
            weights = logits(means).sigmoid()
            out = out * weights[(..., *[None] * (len(spatial) - 1))].movedim(2, axis)
        return out

    assert_same(module, reference, _images(width, *spatial))


def test_efficient_local_weighs_a_transposed_image_alike() -> None:
    module, x = EfficientLocal(12), _images(12, 5, 7)
    torch.testing.assert_close(module(x.mT), module(x).mT)


def test_a_channel_of_efficient_local_keeps_its_group_at_every_width() -> None:
    full, small, x = EfficientLocal(64), EfficientLocal(24), _images(64, 5, 7)
    parameters = dict(full.named_parameters())
    small.load_state_dict({name: parameters[name][:24] for name, _ in small.named_parameters()})
    torch.testing.assert_close(small(x[:, :24]), full(x)[:, :24])

"""FFNs against the same sums written out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.ffns.conv_ffn import ConvFfn
from supernet.ffns.conv_glu import ConvGlu
from supernet.ffns.mlp import Mlp
from supernet.ffns.mobile import Mobile
from supernet.ops.convolution import FUNCTIONS
from supernet.ops.linear import REFERENCE_FAN_IN, Linear

SPATIAL = [(1,), (9,), (1, 1), (5, 7), (3, 4, 2)]


def _images(width: int, *spatial: int) -> Tensor:
    return torch.randn(2, width, *spatial, generator=torch.Generator().manual_seed(0))


def _map(x: Tensor, layer: Linear) -> Tensor:
    """(batch, in_features, ...) -> (batch, out_features, ...)."""
    weight = layer.weight * (REFERENCE_FAN_IN / layer.weight.shape[1]) ** 0.5
    return torch.einsum("oi,bi...->bo...", weight, x) + layer.bias.view(-1, *[1] * (x.dim() - 2))


def test_mlp_is_two_maps_with_a_gelu_between(assert_same: Callable[..., None]) -> None:
    module = Mlp(10, expansion=3)
    assert module.first.weight.shape == (30, 10)
    assert_same(module, lambda x: _map(F.gelu(_map(x, module.first)), module.second), _images(10, 5, 7))


@pytest.mark.parametrize("spatial", SPATIAL)
def test_conv_glu_gates_values_by_their_neighbours(spatial: tuple[int, ...], assert_same: Callable[..., None]) -> None:
    module = ConvGlu(9, ndim=len(spatial), expansion=2)
    convolve = FUNCTIONS[len(spatial)]

    def reference(x: Tensor) -> Tensor:
        scale = (REFERENCE_FAN_IN / 9) ** 0.5
        gate, value = (
            torch.einsum("oi,bi...->bo...", weight * scale, x) + bias.view(-1, *[1] * len(spatial))
            for weight, bias in zip(module.first, module.first_bias, strict=True)
        )
        assert gate.shape[1] == 2 * 2 * 9 // 3
        seen = convolve(gate, module.neighbours.weight, module.neighbours.bias, padding=1, groups=gate.shape[1])
        return _map(F.gelu(seen) * value, module.second)

    assert_same(module, reference, _images(9, *spatial))


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_conv_ffn_adds_their_neighbours_to_hidden_units(
    spatial: tuple[int, ...], kernel_size: int, assert_same: Callable[..., None]
) -> None:
    module = ConvFfn(9, ndim=len(spatial), expansion=2, kernel_size=kernel_size)
    neighbours = module.neighbours

    def reference(x: Tensor) -> Tensor:
        hidden = _map(x, module.first)
        convolve, half = FUNCTIONS[len(spatial)], kernel_size // 2
        seen = convolve(hidden, neighbours.weight, neighbours.bias, padding=half, groups=18)
        return _map(F.gelu(hidden + seen), module.second)

    assert_same(module, reference, _images(9, *spatial))


def test_conv_ffn_without_neighbours_is_an_mlp() -> None:
    module, mlp, x = ConvFfn(9, expansion=2), Mlp(9, expansion=2), _images(9, 5, 7)
    with torch.no_grad():
        module.neighbours.weight.zero_()
    mlp.load_state_dict({name: value for name, value in module.state_dict().items() if "neighbours" not in name})
    torch.testing.assert_close(module(x), mlp(x))


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_mobile_expands_convolves_normalises_and_projects(
    spatial: tuple[int, ...], kernel_size: int, assert_same: Callable[..., None]
) -> None:
    module = Mobile(9, ndim=len(spatial), expansion=2, kernel_size=kernel_size)
    parts = module.bottleneck
    with torch.no_grad():
        parts.norm.weight.normal_()
        parts.norm.bias.normal_()

    def reference(x: Tensor) -> Tensor:
        hidden, convolve = F.gelu(_map(x, parts.expand)), FUNCTIONS[len(spatial)]
        hidden = convolve(hidden, parts.depthwise.weight, parts.depthwise.bias, padding=kernel_size // 2, groups=18)
        mean, variance = hidden.mean(dim=1, keepdim=True), hidden.var(dim=1, correction=0, keepdim=True)
        shape = (-1, *[1] * len(spatial))
        hidden = (hidden - mean) / (variance + 1e-6).sqrt() * parts.norm.weight.view(shape)
        return _map(F.gelu(hidden + parts.norm.bias.view(shape)), parts.project)

    assert_same(module, reference, _images(9, *spatial))

"""Attention over all positions and inside windows, against the same written out head by head."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.mixers.attention import Attention
from supernet.mixers.window_attention import WindowAttention
from supernet.ops.attention.reference import partition_attention
from supernet.ops.linear import REFERENCE_FAN_IN
from supernet.ops.rotary import rotary_angles, rotate
from supernet.ops.windows.reference import windows

SPATIAL = {1: (9,), 2: (5, 4), 3: (3, 2, 4)}


def _images(width: int, spatial: tuple[int, ...]) -> Tensor:
    return torch.randn(2, width, *spatial, generator=torch.Generator().manual_seed(0))


def _scale(fan_in: int) -> float:
    return (REFERENCE_FAN_IN / fan_in) ** 0.5


def _heads(
    x: Tensor, qkv: Tensor, output: Tensor, bias: Tensor, attend: Callable[[int, Tensor, Tensor, Tensor], Tensor]
) -> Tensor:
    """The sum over heads of what each of them projects back: (batch, width, *spatial) -> the same."""
    num_heads, head_dim, width = qkv.shape[1:]
    tokens = x.flatten(2).transpose(1, 2)
    out = bias
    for head in range(num_heads):
        q, k, v = (tokens @ weight.T * _scale(width) for weight in qkv[:, head])
        out = out + attend(head, q, k, v) @ output[:, head].T * _scale(num_heads * head_dim)
    return out.transpose(1, 2).reshape(x.shape)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_attention_is_softmax_of_rotated_normalised_products(ndim: int, assert_same: Callable[..., None]) -> None:
    module, spatial = Attention(12, ndim=ndim, num_heads=3), SPATIAL[ndim]
    positions = list(itertools.product(*map(range, spatial)))

    def turned(x: Tensor) -> Tensor:
        x = (x - x.mean(dim=-1, keepdim=True)) / (x.var(dim=-1, correction=0, keepdim=True) + 1e-5).sqrt()
        pairs = torch.complex(x[..., :8], x[..., 8:])
        angles = [[p[j % ndim] * 100 ** -(j // ndim * ndim / 8) for j in range(8)] for p in positions]
        pairs = pairs * torch.polar(torch.ones(len(positions), 8), torch.tensor(angles)).to(pairs.dtype)
        return torch.cat([pairs.real, pairs.imag], dim=-1)

    def attend(_: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        weights = (turned(q) @ turned(k).transpose(1, 2) / math.sqrt(16)).exp()
        return weights @ v / weights.sum(dim=2, keepdim=True)

    def reference(x: Tensor) -> Tensor:
        return _heads(x, module.qkv, module.output, module.bias, attend)

    assert_same(module, reference, _images(12, spatial), tolerance=1e-6)


def test_rotated_products_depend_on_the_distance_alone() -> None:
    angles = rotary_angles((6, 7), 16, torch.device("cpu")).view(6, 7, 8).double()
    q, k = torch.randn(2, 16, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    near = rotate(q, angles[0, 1]) @ rotate(k, angles[2, 4])
    far = rotate(q, angles[3, 3]) @ rotate(k, angles[5, 6])
    other = rotate(q, angles[3, 3]) @ rotate(k, angles[5, 5])
    torch.testing.assert_close(near, far, rtol=1e-5, atol=1e-5)
    assert (near - other).abs() > 1e-2


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("shift", ["none", "half"])
def test_a_window_as_large_as_the_image_is_global_cosine_attention(
    ndim: int, shift: str, assert_same: Callable[..., None]
) -> None:
    module, spatial = WindowAttention(12, ndim=ndim, window=12, num_heads=3, shift=shift), SPATIAL[ndim]
    layer = module.attention
    with torch.no_grad():
        layer.log_scale.copy_(torch.tensor([0.5, 2.0, 6.0]))  # the last is above the clamp at log 100
        layer.q_bias.normal_()
        layer.v_bias.normal_()
    positions = torch.tensor(list(itertools.product(*map(range, spatial))), dtype=torch.double)

    def attend(head: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q = q + layer.q_bias[head]
        cosine = torch.einsum("bnd,bmd->bnm", F.normalize(q, dim=-1), F.normalize(k, dim=-1))
        distance = positions[:, None] - positions
        coordinates = distance.sign() * (1 + distance.abs()).log() / math.log(8)
        hidden = (coordinates @ layer.position.weight.T * _scale(ndim) + layer.position.bias).relu()
        bias = 16 * (hidden @ layer.position_heads[head] * _scale(64)).sigmoid()
        tau = layer.log_scale[head].exp().clamp(max=100)
        return (cosine * tau + bias).softmax(dim=-1) @ (v + layer.v_bias[head])

    def reference(x: Tensor) -> Tensor:
        return _heads(x, layer.qkv, layer.output, layer.bias, attend)

    assert_same(module, reference, _images(12, spatial))


@pytest.mark.parametrize("spatial", [(11,), (8, 6), (7, 9), (3, 10), (5, 4, 6)])
@pytest.mark.parametrize("shift", ["none", "half"])
@pytest.mark.parametrize("window", [3, 4])
def test_window_attention_is_attention_inside_each_window(
    spatial: tuple[int, ...], shift: str, window: int, assert_same: Callable[..., None]
) -> None:
    module = WindowAttention(12, ndim=len(spatial), window=window, shift=shift)
    parts = windows(spatial, window, window // 2 if shift == "half" else 0)
    assert_same(module, lambda x: partition_attention(x, module.attention, parts), _images(12, spatial))

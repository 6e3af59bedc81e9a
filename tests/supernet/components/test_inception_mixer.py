"""The inception mixer against its three paths written out channel by channel."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from supernet.mixers.attention import Attention
from supernet.mixers.inception_mixer import InceptionMixer
from supernet.ops.convolution import FUNCTIONS
from supernet.ops.linear import REFERENCE_FAN_IN


def _images(width: int, spatial: tuple[int, ...]) -> Tensor:
    return torch.randn(2, width, *spatial, generator=torch.Generator().manual_seed(0))


def _scale(fan_in: int) -> float:
    return (REFERENCE_FAN_IN / fan_in) ** 0.5


def _boxes(spatial: tuple[int, ...], starts: Callable[[int], list[tuple[int, int]]]) -> list[tuple[Any, ...]]:
    return [(..., *(slice(*each) for each in box)) for box in itertools.product(*map(starts, spatial))]


@pytest.mark.parametrize("low_ratio", [0.25, 0.5, 0.75])
@pytest.mark.parametrize(("spatial", "pool_size"), [((11,), 4), ((5, 6), 1), ((7, 4), 2), ((1, 1), 2), ((3, 2, 5), 2)])
@pytest.mark.parametrize("width", [16, 23])
def test_each_channel_passes_its_path(
    width: int, spatial: tuple[int, ...], pool_size: int, low_ratio: float, assert_same: Callable[..., None]
) -> None:
    ndim, low = len(spatial), int(8 * low_ratio)
    module = InceptionMixer(width, ndim=ndim, low_ratio=low_ratio, pool_size=pool_size)
    with torch.no_grad():
        module.high_bias.normal_()
    groups, share = math.ceil(width / 8), (8 - low) // 2
    cells = _boxes(spatial, lambda size: [(i, i + pool_size) for i in range(0, size, pool_size)])
    counts = [math.ceil(size / pool_size) for size in spatial]
    around = _boxes(spatial, lambda size: [(max(0, i - 1), i + 2) for i in range(size)])

    def channels(x: Tensor, residues: list[int]) -> Tensor:
        missing = torch.zeros_like(x[:, 0])
        indices = [8 * group + residue for group in range(groups) for residue in residues]
        return torch.stack([x[:, i] if i < width else missing for i in indices], dim=1)

    def attend(x: Tensor) -> Tensor:
        means = torch.stack([x[cell].flatten(2).mean(dim=2) for cell in cells], dim=2).unflatten(2, counts)
        num_heads, head_dim = module.fuse_low.shape[:2]
        size = num_heads * head_dim
        output = torch.eye(size, dtype=x.dtype).view(size, num_heads, head_dim) / _scale(size)
        weights = {"qkv": module.qkv.flatten(3), "output": output, "bias": x.new_zeros(size)}
        attention = Attention(x.shape[1], ndim=ndim, num_heads=num_heads)
        mixed = functional_call(attention, weights, (means,)).flatten(2)
        out = x.new_empty(len(x), size, *spatial)
        for i, cell in enumerate(cells):
            out[cell] = mixed[:, :, i].view(len(x), size, *[1] * ndim)
        return out

    def maximum(x: Tensor) -> Tensor:
        return torch.stack([x[box].flatten(2).amax(dim=2) for box in around], dim=2).view_as(x)

    def project(x: Tensor, weight: Tensor) -> Tensor:
        weight = weight[:, :share, :, :share].flatten(2).flatten(0, 1)
        return torch.einsum("oi,bi...->bo...", weight * _scale(groups * share), x)

    def convolve(x: Tensor, kernel: Tensor) -> Tensor:
        return FUNCTIONS[ndim](x, kernel.unsqueeze(1), padding=1, groups=len(kernel))

    def activate(x: Tensor, bias: Tensor) -> Tensor:
        return F.gelu(x + bias[:, :share].reshape(-1, *[1] * ndim))

    def reference(x: Tensor) -> Tensor:
        maxed = project(maximum(channels(x, [6, 4, 2][:share])), module.high[0])
        convolved = project(channels(x, [7, 5, 3][:share]), module.high[1])
        convolved = convolve(convolved, module.kernel[:, :share].flatten(0, 1))
        high = [activate(each, bias) for each, bias in zip((maxed, convolved), module.high_bias, strict=True)]
        paths = torch.cat([attend(channels(x, list(range(low)))), *high], dim=1)
        kernel = torch.cat([module.fuse_low.flatten(0, 1), module.fuse_high[:, :, :share].flatten(0, 2)])
        output = torch.cat([module.output_low.flatten(1), module.output_high[..., :share].flatten(1)], dim=1)
        out = torch.einsum("oi,bi...->bo...", output * _scale(output.shape[1]), paths + convolve(paths, kernel))
        return out + module.bias.view(-1, *[1] * ndim)

    assert_same(module, reference, _images(width, spatial), tolerance=1e-6)

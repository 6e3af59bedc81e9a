"""FFNified attention against its definition, and where it is an FFN of each channel."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.mixers.ffnified_attention import FfnifiedAttention
from supernet.ops.convolution import FUNCTIONS
from supernet.ops.linear import REFERENCE_FAN_IN
from supernet.slicing import cut

SPATIAL = (7, 5, 4)


def _images(width: int, ndim: int) -> Tensor:
    return torch.randn(2, width, *SPATIAL[:ndim], generator=torch.Generator().manual_seed(0))


def _randomise(module: FfnifiedAttention) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [3, 7])
@pytest.mark.parametrize("expansion", [1, 3])
def test_values_are_weighted_by_the_activated_match_with_their_keys(
    ndim: int, kernel_size: int, expansion: int, assert_same: Callable[..., None]
) -> None:
    module = FfnifiedAttention(5, ndim=ndim, kernel_size=kernel_size, expansion=expansion)
    _randomise(module)

    def convolve(x: Tensor, kernel: Tensor) -> Tensor:
        return FUNCTIONS[ndim](x, kernel[None], padding=kernel_size // 2)

    def reference(x: Tensor) -> Tensor:
        weight = module.query.weight * (REFERENCE_FAN_IN / 5) ** 0.5
        channels = []
        for i in range(5):
            query = torch.einsum("j,bj...->b...", weight[i], x)[:, None] + module.query.bias[i]
            hidden = [F.gelu(convolve(query, module.keys[e, i]) + module.key_bias[e, i]) for e in range(expansion)]
            total = sum(convolve(hidden[e], module.values[e, i]) for e in range(expansion))
            channels.append(total / expansion**0.5 + module.bias[i])
        return torch.cat(channels, dim=1)

    assert_same(module, reference, _images(5, ndim))


def test_one_tap_per_kernel_is_an_ffn_of_each_channel() -> None:
    module = FfnifiedAttention(6, kernel_size=3, expansion=2)
    _randomise(module)
    with torch.no_grad():
        for kernels in (module.keys, module.values):
            centre = kernels[..., 1, 1].clone()
            kernels.zero_()
            kernels[..., 1, 1] = centre
    x = _images(6, 2)
    query = module.query(x.movedim(1, -1)).unsqueeze(-2)
    keys, values = module.keys[:, :, 0, 1, 1], module.values[:, :, 0, 1, 1]
    expected = (F.gelu(query * keys + module.key_bias) * values).sum(dim=-2) / 2**0.5 + module.bias
    torch.testing.assert_close(module(x), expected.movedim(-1, 1))


def test_the_scale_does_not_depend_on_the_expansion() -> None:
    x = torch.randn(4, 64, 9, 9, generator=torch.Generator().manual_seed(0))
    scales = [FfnifiedAttention(64, kernel_size=3, expansion=expansion)(x).std() for expansion in (1, 2, 3)]
    assert max(scales) / min(scales) < 1.2


def test_a_larger_kernel_is_the_smaller_one_when_its_outer_taps_are_zero() -> None:
    large, small, x = FfnifiedAttention(6, kernel_size=5), FfnifiedAttention(6, kernel_size=3), _images(6, 2)
    with torch.no_grad():
        small.query.weight.copy_(large.query.weight)
        for name, axes in FfnifiedAttention.centred.items():
            part = small.get_parameter(name)
            large.get_parameter(name).zero_()
            cut(large.get_parameter(name), part.shape, axes).copy_(part)
    torch.testing.assert_close(large(x), small(x))

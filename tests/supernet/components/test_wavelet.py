"""Wavelet mixing against its bands, MLPs and transposed convolutions written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.mixers.wavelet import Wavelet
from supernet.ops.convolution import FUNCTIONS
from supernet.ops.wavelet import reference


def _linear(x: Tensor, layer: Any) -> Tensor:
    return x @ layer.weight.T * (64 / layer.weight.shape[1]) ** 0.5 + layer.bias


def _double(x: Tensor, weight: Tensor) -> Tensor:
    """A transposed convolution as its definition: zeros between the positions, then the reversed kernel."""
    ndim = x.dim() - 2
    spread = x.new_zeros(*x.shape[:2], *(2 * size - 1 for size in x.shape[2:]))
    even: tuple[Any, ...] = (..., *[slice(None, None, 2)] * ndim)
    spread[even] = x
    kernel = weight.flip(*range(2, 2 + ndim)).transpose(0, 1) * (64 / (len(weight) * 2**ndim)) ** 0.5
    return FUNCTIONS[ndim](spread, kernel, padding=2)


@pytest.mark.parametrize("spatial", [(7,), (6, 5), (3, 4, 5)])
@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("width", [16, 13])
def test_the_levels_are_mixed_from_the_coarsest_up(
    spatial: tuple[int, ...], levels: int, width: int, assert_same: Callable[..., None]
) -> None:
    module: Any = Wavelet(width, ndim=len(spatial), levels=levels)

    def lows_of(low: Tensor, level: int) -> Tensor:
        for _ in range(level):
            low = reference.analysis(low)[..., 0, :]
        return low

    def rise(low: Tensor, level: int) -> Tensor:
        fine = lows_of(low, level)
        bands, mix, layer = reference.analysis(fine), module.mixes[level], module.rises[level]
        hidden = torch.einsum("...bc,hbc->...h", bands, mix.weight) * (64 / mix.weight[0].numel()) ** 0.5 + mix.bias
        if level + 1 < levels:
            hidden = hidden + _linear(rise(low, level + 1).movedim(1, -1), module.joins[level])
        out = _double(_linear(F.gelu(hidden), layer.linear).movedim(-1, 1), layer.weight)
        inside: tuple[Any, ...] = (..., *(slice(size) for size in fine.shape[1:-1]))
        return layer.norm(out[inside])

    def reference_mixer(x: Tensor) -> Tensor:
        return rise(_linear(x.movedim(1, -1), module.reduction), 0)

    assert_same(module, reference_mixer, torch.randn(2, width, *spatial))


def test_no_levels_are_the_identity() -> None:
    x = torch.randn(2, 8, 5, 6)
    assert torch.equal(Wavelet(8, levels=0)(x), x)


def test_a_finer_level_alone_is_the_mixer_with_fewer_levels() -> None:
    deep, shallow = Wavelet(16, levels=3), Wavelet(16, levels=1)
    shallow.load_state_dict({name: value for name, value in deep.state_dict().items() if name in shallow.state_dict()})
    for join in deep.joins.parameters():
        torch.nn.init.zeros_(join)
    x = torch.randn(2, 16, 7, 6)
    torch.testing.assert_close(deep(x), shallow(x))


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_a_position_sees_as_many_others_as_the_docstring_says(levels: int) -> None:
    x = torch.randn(1, 8, 64, requires_grad=True)
    Wavelet(8, ndim=1, levels=levels)(x)[0, 0, 31].backward()
    assert x.grad is not None
    assert (x.grad[0] != 0).any(dim=0).sum() >= 2**levels

"""Residuals against the sums of their definitions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from supernet.norms.layer import LayerNorm
from supernet.residuals.post_norm import PostNorm
from supernet.residuals.pre_norm import PreNorm


def _branch(x: Tensor) -> Tensor:
    return 3 * x + x.roll(1, dims=-1)


@pytest.mark.parametrize("layer_scale", ["none", "learned"])
@pytest.mark.parametrize("spatial", [(5,), (3, 4), (2, 3, 4)])
def test_a_residual_is_its_sum(layer_scale: str, spatial: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    x, factor = torch.randn(2, 7, *spatial, generator=generator), torch.rand(7, generator=generator)
    shown = factor.view(-1, *[1] * len(spatial)) if layer_scale == "learned" else 1
    norm = LayerNorm(7, ndim=len(spatial))
    modules: list[Any] = [cls(7, ndim=len(spatial), layer_scale=layer_scale) for cls in (PreNorm, PostNorm)]
    for module in modules:
        if layer_scale == "learned":
            module.scale.weight.data.copy_(factor)
    pre, post = modules
    torch.testing.assert_close(pre(x, norm, _branch), x + shown * _branch(norm(x)))
    torch.testing.assert_close(post(x, norm, _branch), x + shown * norm(_branch(x)))


def test_post_norm_keeps_a_growing_branch_from_growing_the_sum() -> None:
    x, norm = torch.randn(4, 8, 6), LayerNorm(8, ndim=1)
    pre, post = PreNorm(8, ndim=1), PostNorm(8, ndim=1)
    with torch.no_grad():
        torch.testing.assert_close(post(x, norm, lambda y: 100 * y), post(x, norm, lambda y: y), atol=1e-4, rtol=1e-4)
        assert pre(x, norm, lambda y: 100 * y).std() > 50

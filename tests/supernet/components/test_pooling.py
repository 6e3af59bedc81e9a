"""Pooling against the mean taken position by position."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from supernet.mixers.pooling import Pooling


@pytest.mark.parametrize("spatial", [(1,), (6,), (2, 1), (6, 7), (1, 1, 1), (1, 3, 2), (4, 3, 5), (8, 2, 7)])
@pytest.mark.parametrize("size", [3, 7])
@pytest.mark.parametrize("channels_last", [False, True])
def test_the_mean_of_the_neighbours_inside_minus_the_position(
    spatial: tuple[int, ...], size: int, channels_last: bool, assert_same: Callable[..., None]
) -> None:
    def reference(x: Tensor) -> Tensor:
        out = torch.empty_like(x)
        for position in torch.cartesian_prod(*map(torch.arange, spatial)).reshape(-1, len(spatial)).tolist():
            around: tuple[Any, ...] = (..., *(slice(max(0, i - size // 2), i + size // 2 + 1) for i in position))
            out[(..., *position)] = x[around].flatten(2).mean(dim=2)
        return out - x

    x = torch.randn(2, *spatial, 3).movedim(-1, 1)
    module = Pooling(3, ndim=len(spatial), pool_size=size)
    assert_same(module, reference, x if channels_last else x.contiguous())

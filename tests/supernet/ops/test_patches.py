"""Patches of images whose sizes the stride does not divide."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from supernet.ops.patches import patch_means, whole_patches

SPATIAL = [(1,), (7,), (1, 1), (5, 8), (3, 1, 6)]


@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_the_mean_of_a_patch_is_that_of_the_positions_it_has(spatial: tuple[int, ...], stride: int) -> None:
    x = torch.randn(2, 3, *spatial, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    means = patch_means(x, stride)
    assert means.shape == (2, 3, *(-(-size // stride) for size in spatial))
    for place in itertools.product(*map(range, means.shape[2:])):
        patch: tuple[Any, ...] = (..., *(slice(i * stride, (i + 1) * stride) for i in place))
        at: tuple[Any, ...] = (..., *place)
        torch.testing.assert_close(means[at], x[patch].flatten(2).mean(dim=2))


@pytest.mark.parametrize("spatial", SPATIAL)
def test_whole_patches_add_zeros_at_the_far_ends(spatial: tuple[int, ...]) -> None:
    x = torch.randn(2, 3, *spatial, generator=torch.Generator().manual_seed(0))
    padded = whole_patches(x, 4)
    assert padded.shape[2:] == tuple(-(-size // 4) * 4 for size in spatial)
    inside: tuple[Any, ...] = (..., *(slice(size) for size in spatial))
    assert torch.equal(padded[inside], x)
    assert padded.count_nonzero() == x.count_nonzero()

"""Grouped convolution against the sum over each channel's group, and groups inside larger ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.mixers.group import Group
from supernet.ops.linear import REFERENCE_FAN_IN


def _images(width: int, *spatial: int) -> Tensor:
    return torch.randn(2, width, *spatial, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("spatial", [(7,), (5, 4), (3, 2, 4)])
@pytest.mark.parametrize(("width", "group_size"), [(12, 4), (11, 4), (3, 8)])
def test_a_channel_is_the_sum_over_the_channels_of_its_group(
    width: int, group_size: int, spatial: tuple[int, ...], assert_same: Callable[..., None]
) -> None:
    module, ndim = Group(width, ndim=len(spatial), group_size=group_size), len(spatial)
    torch.nn.init.normal_(module.bias)
    scale = (REFERENCE_FAN_IN / (min(width, group_size) * 3**ndim)) ** 0.5

    def reference(x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1) * ndim)
        channels = []
        for i in range(width):
            first = i // group_size * group_size
            total = module.bias[i].expand(len(x), *spatial)
            for other in range(first, min(first + group_size, width)):
                for tap in itertools.product(range(3), repeat=ndim):
                    window = tuple(slice(t, t + n) for t, n in zip(tap, spatial, strict=True))
                    weight = module.weight[(i, i ^ other, *tap)] * scale
                    total = total + weight * padded[:, other][(slice(None), *window)]
            channels.append(total)
        return torch.stack(channels, dim=1)

    assert_same(module, reference, _images(width, *spatial))


@pytest.mark.parametrize("group_size", [2, 4, 8])
def test_a_group_is_part_of_every_larger_one(group_size: int) -> None:
    """A large group that listens to the leading columns alone is the small group, up to the scale of the weight."""
    small, large, x = Group(32, group_size=group_size), Group(32, group_size=16), _images(32, 5, 4)
    with torch.no_grad():
        large.weight.zero_()
        large.weight[:, :group_size] = small.weight
    torch.testing.assert_close(small(x), large(x) * (16 / group_size) ** 0.5, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width", [16, 20])
def test_a_narrow_module_computes_the_leading_groups_of_a_wide_one(width: int) -> None:
    wide, narrow, x = Group(40, group_size=8), Group(width, group_size=8), _images(40, 5, 4)
    with torch.no_grad():
        narrow.weight.copy_(wide.weight[:width])
        x[:, width:] = 0
    torch.testing.assert_close(narrow(x[:, :width]), wide(x)[:, :width], rtol=1e-5, atol=1e-5)

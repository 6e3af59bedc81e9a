"""Dual attention against attention written out group by group."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.mixers.dual_attention import DualAttention
from supernet.ops.attention.reference import partition_attention
from supernet.ops.linear import REFERENCE_FAN_IN
from supernet.ops.windows.reference import windows


def _images(width: int, spatial: tuple[int, ...]) -> Tensor:
    return torch.randn(2, width, *spatial, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("group_size", [8, 16])
@pytest.mark.parametrize("spatial", [(5,), (29,), (3, 1), (7, 9), (5, 3, 4)])
@pytest.mark.parametrize("width", [12, 16, 23])
def test_dual_attention_is_attention_in_windows_then_in_groups_of_channels(
    width: int, spatial: tuple[int, ...], group_size: int, assert_same: Callable[..., None]
) -> None:
    module = DualAttention(width, ndim=len(spatial), window=4, group_size=group_size)
    channels = module.channels
    with torch.no_grad():
        channels.log_scale.copy_(torch.linspace(0, 5, width))  # the last are above the clamp at log 100
    factor = (REFERENCE_FAN_IN / width) ** 0.5

    def between_channels(x: Tensor) -> Tensor:
        q, k, v = (weight * factor @ x.flatten(2) for weight in channels.qkv)  # (batch, width, positions)
        groups = []
        for start in range(0, width, group_size):
            group = slice(start, start + group_size)
            similarity = q[:, group] @ k[:, group].transpose(1, 2) / x[0, 0].numel()
            tau = channels.log_scale[group].exp().clamp(max=100)[:, None]
            groups.append((similarity * tau).softmax(dim=-1) @ v[:, group])
        out = channels.output.weight * factor @ torch.cat(groups, dim=1) + channels.output.bias[:, None]
        return out.view_as(x)

    def reference(x: Tensor) -> Tensor:
        local = partition_attention(x, module.positions, windows(spatial, 4))
        normed = F.layer_norm((x + local).movedim(1, -1), (width,), module.norm.weight, module.norm.bias, eps=1e-6)
        return local + between_channels(normed.movedim(-1, 1))

    assert_same(module, reference, _images(width, spatial))


@pytest.mark.parametrize("spatial", [(5,), (29,)])
def test_an_image_that_repeats_itself_has_the_same_channel_attention(spatial: tuple[int, ...]) -> None:
    channels = DualAttention(12, ndim=1).channels.double()
    x = _images(12, spatial).double()
    torch.testing.assert_close(channels(torch.cat([x, x, x], dim=2)), torch.cat([channels(x)] * 3, dim=2))


def test_channel_attention_knows_no_positions() -> None:
    channels = DualAttention(12, ndim=1).channels.double()
    x, order = _images(12, (29,)).double(), torch.randperm(29, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(channels(x[..., order]), channels(x)[..., order])

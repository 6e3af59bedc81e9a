"""Multi-axis attention against window after window and grid after grid."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.mixers.multi_axis import MultiAxis
from supernet.ops.attention.reference import partition_attention
from supernet.ops.windows.reference import grid, windows


def _images(width: int, spatial: tuple[int, ...]) -> Tensor:
    return torch.randn(2, width, *spatial, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("window", [2, 3, 4, 12])
@pytest.mark.parametrize("spatial", [(11,), (7, 9), (1, 5), (5, 3, 4)])
def test_multi_axis_is_attention_in_windows_then_on_grids(
    spatial: tuple[int, ...], window: int, assert_same: Callable[..., None]
) -> None:
    module = MultiAxis(12, ndim=len(spatial), window=window)

    def reference(x: Tensor) -> Tensor:
        near = partition_attention(x, module.block, windows(spatial, window))
        normed = F.layer_norm((x + near).movedim(1, -1), (12,), module.norm.weight, module.norm.bias, eps=1e-6)
        return near + partition_attention(normed.movedim(-1, 1), module.grid, grid(spatial, window))

    assert_same(module, reference, _images(12, spatial))


@pytest.mark.parametrize(("spatial", "window"), [((16,), 4), ((9, 9), 3), ((4, 8), 4)])
def test_the_grid_shows_every_position_the_whole_image(spatial: tuple[int, ...], window: int) -> None:
    module = MultiAxis(12, ndim=len(spatial), window=window).double()
    x = _images(12, spatial).double().requires_grad_()

    def seen() -> Tensor:
        """How many positions the first position of the first image depends on, for each image."""
        (gradient,) = torch.autograd.grad(module(x).flatten(2)[0, :, 0].sum(), x)
        return gradient.abs().amax(dim=1).flatten(1).count_nonzero(dim=1)

    assert seen().tolist() == [x[0, 0].numel(), 0]
    with torch.no_grad():
        module.grid.output.zero_()
    assert seen().tolist() == [window ** len(spatial), 0]

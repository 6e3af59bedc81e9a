"""Windows and grids hold the positions that the reference says, and padding reaches none of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.mixers.dual_attention import DualAttention
from supernet.mixers.multi_axis import MultiAxis
from supernet.mixers.window_attention import WindowAttention
from supernet.ops.windows import Grid, Partition, Windows, reference

SPATIAL = st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple)
WINDOW = st.integers(1, 10)
CPU = torch.device("cpu")


def _groups(partition: Partition) -> set[frozenset[int]]:
    """The positions of the image that attend to each other, each as its index in the flat image."""
    spatial = partition.spatial
    index = torch.arange(1, math.prod(spatial) + 1).view(1, *spatial, 1)
    windows = partition.split(index)[0, ..., 0]
    mask = partition.mask(CPU)
    groups = set()
    for i, window in enumerate(windows):
        for j in window.nonzero().flatten().tolist():
            members = window if mask is None else window[mask[i, j]]
            groups.add(frozenset((members - 1).tolist()))
    return groups


def _listed(parts: list[reference.Window], spatial: tuple[int, ...]) -> set[frozenset[int]]:
    index = torch.arange(math.prod(spatial)).view(spatial)
    return {frozenset(index[part].flatten().tolist()) for part in parts}


@given(SPATIAL, WINDOW, st.integers(0, 12))
def test_windows_hold_the_positions_of_the_reference(spatial: tuple[int, ...], window: int, shift: int) -> None:
    parts = reference.windows(spatial, window, shift)
    assert _groups(Windows(spatial, window, shift)) == _listed(parts, spatial)
    assert sum(map(len, _listed(parts, spatial))) == math.prod(spatial)


@given(SPATIAL, WINDOW)
def test_grids_hold_the_positions_of_the_reference(spatial: tuple[int, ...], window: int) -> None:
    parts = reference.grid(spatial, window)
    assert _groups(Grid(spatial, window)) == _listed(parts, spatial)
    assert sum(map(len, _listed(parts, spatial))) == math.prod(spatial)
    assert max(map(len, _listed(parts, spatial))) <= window ** len(spatial)


@given(SPATIAL, WINDOW, st.integers(0, 12))
def test_join_undoes_split(spatial: tuple[int, ...], window: int, shift: int) -> None:
    x = torch.arange(2 * math.prod(spatial) * 3).view(2, *spatial, 3)
    for partition in (Windows(spatial, window, shift), Grid(spatial, window)):
        assert torch.equal(partition.join(partition.split(x)), x)


@given(SPATIAL)
def test_one_window_and_one_grid_are_the_whole_image(spatial: tuple[int, ...]) -> None:
    whole = {frozenset(range(math.prod(spatial)))}
    assert _groups(Windows(spatial, max(spatial), shift=1)) == whole
    assert _groups(Grid(spatial, max(spatial))) == whole


@given(SPATIAL, WINDOW)
def test_a_shift_by_a_whole_window_is_none(spatial: tuple[int, ...], window: int) -> None:
    assert Windows(spatial, window, window).shifts == (0,) * len(spatial)
    assert _groups(Windows(spatial, window, window)) == _groups(Windows(spatial, window))


@pytest.mark.parametrize(
    ("mixer", "options"),
    [(WindowAttention, {}), (WindowAttention, {"shift": "half"}), (MultiAxis, {}), (DualAttention, {"group_size": 8})],
)
def test_padding_never_reaches_a_position(
    mixer: type[nn.Module], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = mixer(12, window=4, **options).double()
    x = torch.randn(2, 12, 7, 9, dtype=torch.double, generator=torch.Generator().manual_seed(0)).requires_grad_()
    inputs, pad, padded = [x, *module.parameters()], F.pad, []
    expected = module(x)
    gradients = torch.autograd.grad(expected.square().sum(), inputs)

    def poisoned(tensor: Tensor, ends: tuple[int, ...]) -> Tensor:
        padded.append(ends)
        return pad(tensor, ends, value=1e30 if tensor.is_floating_point() else 0)

    monkeypatch.setattr(F, "pad", poisoned)
    out = module(x)
    assert padded
    assert torch.equal(out, expected)
    for ours, theirs in zip(torch.autograd.grad(out.square().sum(), inputs), gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)

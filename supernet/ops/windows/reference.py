"""Attention inside windows and grids, one window after the other: no padding, no mask.

A window is a tuple of slices, one for each axis of the image; it selects real positions only, so those at the border
may be smaller.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Window = tuple[slice, ...]


def windows(spatial: Sequence[int], window: int, shift: int = 0) -> list[Window]:
    """Windows of `window` positions along each axis, of which the first to begin inside the image begins at `shift`.

    An axis that one window covers is not shifted.
    """

    def pieces(size: int) -> list[slice]:
        starts = range(shift % window, size, window) if window < size else []
        edges = sorted({0, *starts, size})
        return [slice(start, stop) for start, stop in itertools.pairwise(edges)]

    return list(itertools.product(*map(pieces, spatial)))


def grid(spatial: Sequence[int], window: int) -> list[Window]:
    """Positions that lie ceil(size / window) apart along each axis: at most `window` of them, all over the image."""

    def pieces(size: int) -> list[slice]:
        step = -(-size // window)
        return [slice(start, None, step) for start in range(step)]

    return list(itertools.product(*map(pieces, spatial)))


def attention(
    q: Tensor, k: Tensor, v: Tensor, bias: Callable[[Sequence[int]], Tensor], parts: Sequence[Window]
) -> Tensor:
    """softmax(q kᵀ + bias) v inside each window: (batch, heads, *spatial, head_dim) each -> the same.

    `bias` gives, for the size of a window along each axis, what to add: (heads, positions, positions).
    """
    out = torch.empty_like(v)
    for part in parts:
        index: tuple[Any, ...] = (..., *part, slice(None))
        sizes = v[index].shape[2:-1]
        queries, keys, values = (each[index].flatten(2, -2) for each in (q, k, v))
        weights = (queries @ keys.transpose(2, 3) + bias(sizes)).softmax(dim=-1)
        out[index] = (weights @ values).unflatten(2, sizes)
    return out

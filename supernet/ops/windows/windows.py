"""Cut an image into groups of positions and put it back together, all groups at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


class Windows:
    """A regular grid of windows over an image of size `spatial`, displaced by `shift` positions along each axis.

    Windows begin at `shift` modulo their size; those at the border may be smaller. The image is padded to whole
    windows and rolled, so that all are cut at once. That puts together positions which share no window: `mask` tells
    them apart. An axis that one window covers is not shifted.

    Source: Liu et al., "Swin Transformer", ICCV 2021, section 3.2 (cyclic shift).
    """

    def __init__(self, spatial: Sequence[int], window: int | Sequence[int], shift: int = 0) -> None:
        self.spatial = tuple(spatial)
        window = [window] * len(self.spatial) if isinstance(window, int) else window
        self.sizes = tuple(min(each, size) for each, size in zip(window, self.spatial, strict=True))
        self.counts = tuple(-(-size // each) for size, each in zip(self.spatial, self.sizes, strict=True))
        self.shifts = tuple(
            shift % each if count > 1 else 0 for each, count in zip(self.sizes, self.counts, strict=True)
        )
        self.padded = tuple(count * each for count, each in zip(self.counts, self.sizes, strict=True))
        self.axes = tuple(range(1, len(self.spatial) + 1))

    def split(self, x: Tensor) -> Tensor:
        """(batch, *spatial, channels) -> (batch, windows, positions of a window, channels)."""
        if self.padded != self.spatial:
            ends = [(0, full - size) for full, size in zip(self.padded, self.spatial, strict=True)]
            x = F.pad(x, (0, 0, *(amount for end in reversed(ends) for amount in end)))
        if any(self.shifts):
            x = x.roll(tuple(-shift for shift in self.shifts), self.axes)
        pairs = [size for pair in zip(self.counts, self.sizes, strict=True) for size in pair]
        x = x.reshape(-1, *pairs, x.shape[-1])
        counts, sizes = [2 * axis - 1 for axis in self.axes], [2 * axis for axis in self.axes]
        x = x.permute(0, *counts, *sizes, x.dim() - 1)
        return x.reshape(-1, math.prod(self.counts), math.prod(self.sizes), x.shape[-1])

    def join(self, windows: Tensor) -> Tensor:
        """The inverse of `split`: (batch, windows, positions of a window, channels) -> (batch, *spatial, channels)."""
        ndim = len(self.axes)
        x = windows.unflatten(2, self.sizes).unflatten(1, self.counts)
        x = x.permute(0, *(axis for i in self.axes for axis in (i, ndim + i)), 2 * ndim + 1)
        x = x.reshape(-1, *self.padded, x.shape[-1])
        if any(self.shifts):
            x = x.roll(self.shifts, self.axes)
        for axis, size in zip(self.axes, self.spatial, strict=True):
            x = x.narrow(axis, 0, size)
        return x

    def mask(self, device: torch.device) -> Tensor | None:
        """(windows, positions, positions): True where two positions share a window. None where all do.

        Padding shares no window with the image.
        """
        if self.padded == self.spatial and not any(self.shifts):
            return None
        owner = torch.zeros((), dtype=torch.long, device=device)
        for size, count, window, shift in zip(self.spatial, self.counts, self.sizes, self.shifts, strict=True):
            position = torch.arange(size, device=device)
            owner = owner.unsqueeze(-1) * (count + 1) + (position - shift).div(window, rounding_mode="floor") + 1
        return _equal(self.split(owner[None, ..., None] + 1))


class Grid:
    """The positions of an image that lie ceil(size / window) apart along each axis: at most `window` of them.

    Where windows are near, grids are far: position r of every window of size ceil(size / window) is one of them.

    Source: Tu et al., "MaxViT: Multi-Axis Vision Transformer", ECCV 2022, section 3.2 (grid attention).
    """

    def __init__(self, spatial: Sequence[int], window: int) -> None:
        self.spatial = tuple(spatial)
        self._windows = Windows(spatial, [-(-size // window) for size in spatial])
        self.sizes = self._windows.counts

    def split(self, x: Tensor) -> Tensor:
        """(batch, *spatial, channels) -> (batch, grids, positions of a grid, channels)."""
        return self._windows.split(x).transpose(1, 2)

    def join(self, grids: Tensor) -> Tensor:
        """The inverse of `split`: (batch, grids, positions of a grid, channels) -> (batch, *spatial, channels)."""
        return self._windows.join(grids.transpose(1, 2))

    def mask(self, device: torch.device) -> Tensor | None:
        """(grids, positions, positions): True where two positions share a grid. None where all do.

        Padding shares no grid with the image.
        """
        if self._windows.padded == self.spatial:
            return None
        return _equal(self.split(torch.ones(1, *self.spatial, 1, dtype=torch.long, device=device)))


Partition = Windows | Grid


def _equal(labels: Tensor) -> Tensor:
    """Which positions have the same label: (1, windows, positions, 1) -> (windows, positions, positions)."""
    return labels[0] == labels[0].transpose(1, 2)

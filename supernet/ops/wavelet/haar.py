"""The Haar wavelet transform as sums and differences of neighbours."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def analysis(x: Tensor) -> Tensor:
    """The bands of one level, (batch, *spatial, channels) -> (batch, *half, 2^ndim bands, channels).

    The number of a band has one binary digit for each axis, the first axis first: 0 for the sum of two neighbours and 1
    for their difference, each over sqrt(2). Band 0 is thus the image at half the size; `half` is rounded up. A last
    position without a neighbour is paired with itself.
    """
    ndim = x.dim() - 2
    bands = x.unsqueeze(-2)
    for axis in range(1, ndim + 1):
        if bands.shape[axis] % 2:
            bands = torch.cat([bands, bands.narrow(axis, -1, 1)], dim=axis)
        first, second = bands.unflatten(axis, (-1, 2)).unbind(axis + 1)
        bands = torch.stack([first + second, first - second], dim=-2).flatten(-3, -2)
    return bands * math.sqrt(0.5**ndim)


def synthesis(bands: Tensor, spatial: Sequence[int]) -> Tensor:
    """The image of size `spatial` that has these bands: the inverse of `analysis`."""
    x = bands * math.sqrt(0.5 ** len(spatial))
    for axis, size in reversed(list(enumerate(spatial, start=1))):
        low, high = x.unflatten(-2, (-1, 2)).unbind(-2)
        x = torch.stack([low + high, low - high], dim=axis + 1).flatten(axis, axis + 1).narrow(axis, 0, size)
    return x.squeeze(-2)

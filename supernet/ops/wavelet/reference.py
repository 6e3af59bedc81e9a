"""The Haar wavelet transform as products with its matrices, one for each axis.

Source: Mallat, "A Theory for Multiresolution Signal Decomposition: The Wavelet Representation", TPAMI 1989, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def analysis(x: Tensor) -> Tensor:
    """(batch, *spatial, channels) -> (batch, *half, 2^ndim bands, channels)."""
    ndim = x.dim() - 2
    for axis in range(1, ndim + 1):
        matrix = _analysis_matrix(x.shape[axis]).to(x)
        x = torch.tensordot(x, matrix, dims=([axis], [2])).movedim((-1, -2), (axis, -2))
    return x.flatten(ndim + 1, -2)


def synthesis(bands: Tensor, spatial: Sequence[int]) -> Tensor:
    """(batch, *half, 2^ndim bands, channels) -> (batch, *spatial, channels)."""
    x = bands.unflatten(-2, (2,) * len(spatial))
    for axis, size in reversed(list(enumerate(spatial, start=1))):
        matrix = _synthesis_matrix(size).to(x)
        x = torch.tensordot(x, matrix, dims=([-2, axis], [1, 2])).movedim(-1, axis)
    return x


def _analysis_matrix(size: int) -> Tensor:
    """(2, half, size): the normalised sum and difference of every two positions; a last one alone is its own second."""
    matrix = torch.zeros(2, -(-size // 2), size, dtype=torch.float64)
    for i in range(matrix.shape[1]):
        first, second = 2 * i, min(2 * i + 1, size - 1)
        for band, sign in enumerate((1, -1)):
            matrix[band, i, first] += 1 / math.sqrt(2)
            matrix[band, i, second] += sign / math.sqrt(2)
    return matrix


def _synthesis_matrix(size: int) -> Tensor:
    """(size, 2, half): the transpose, as the transform of an even size is orthogonal, cut to its leading rows."""
    even = size + size % 2
    return _analysis_matrix(even).permute(2, 0, 1)[:size]

"""A fitted ridge as a few matrix products over codes: for a search that asks about hundreds of thousands."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from predictors.encoding import ChoiceEncoder
from predictors.kernels import decay
from predictors.made import Made
from predictors.ridge import GroupedRidge
from predictors.rows import Array
from search_space import ChoiceMatrix, Scalar

ROWS_AT_ONCE = 2**12
"""Fit into a core's cache with all that is between."""


class CompiledRidge:
    """`ridge.expected(encoder.transform(rows))` for rows over these decisions, its interactions in single precision.

    Columns but for products, and the square root of how much is unseen, are sums over a row's choices. So one matrix
    product gives what they add to the mean, another where the row lies among the interactions, in no more dimensions
    than there are choices. Products add a quadratic form of the choices' values and their squares.
    """

    def __init__(
        self, encoder: ChoiceEncoder, ridge: GroupedRidge, decisions: Mapping[str, tuple[Scalar, ...]]
    ) -> None:
        sizes = np.array([len(options) for options in decisions.values()], dtype=np.intp)
        self._firsts, self._num_choices = np.cumsum([0, *sizes])[:-1], int(sizes.sum())
        alone = np.full((self._num_choices, len(sizes)), -1, dtype=np.int16)
        for j, (first, size) in enumerate(zip(self._firsts, sizes, strict=True)):
            alone[first : first + size, j] = np.arange(size)
        parts = encoder.sums(Made.of(ChoiceMatrix(decisions, alone)))
        slopes, kernels = ridge.slopes_, ridge.kernels_
        self._offset, self._unit = ridge.offset_, ridge.unit_
        self._constant = float(ridge.constant_ + parts.constant @ slopes)
        self._always, self._unseen_slope = parts.num_always, float(slopes[parts.unseen])
        self._adds = np.column_stack([parts.columns @ slopes, parts.unknown, parts.values])
        self._pairs, self._cubes, self._squares = encoder.forms(slopes)
        # Distances stay what they are in an orthonormal basis of all that rows over these decisions can reach.
        near = kernels.near(np.vstack([parts.columns + parts.constant, parts.constant]))
        start, zero = near[-1], np.zeros((1, len(slopes)))
        unseen = kernels.near(np.eye(len(slopes))[[parts.unseen]]) - kernels.near(zero)
        reach = np.vstack([near[:-1] - start, unseen])
        _, lengths, basis = np.linalg.svd(reach, full_matrices=False)
        basis = basis[lengths > 1e-10 * max(lengths.max(initial=0.0), 1e-300)].T
        there = kernels.near(ridge.inducing_) - start
        self._near, self._near_unseen = np.split((reach @ basis).astype(np.float32), [-1])
        self._right = np.vstack([(there @ basis).T, -0.5 * np.sum(there**2, axis=1)]).astype(np.float32)
        self._pulls = ridge.pulls_.astype(np.float32)

    def expected(self, codes: npt.NDArray[np.int16]) -> Array:
        """(rows,) for codes (rows, decisions)."""
        parts = [self._expected(codes[i : i + ROWS_AT_ONCE]) for i in range(0, len(codes), ROWS_AT_ONCE)]
        return np.concatenate([np.empty(0), *parts])

    def _expected(self, codes: npt.NDArray[np.int16]) -> Array:
        made = np.zeros((len(codes), self._num_choices))
        rows, columns = np.nonzero(codes >= 0)
        made[rows, self._firsts[columns] + codes[rows, columns]] = 1.0
        sums = made @ self._adds
        unseen, values = np.sqrt(np.maximum(self._always + sums[:, 1], 0.0)), sums[:, 2:]
        mean = self._constant + sums[:, 0] + self._unseen_slope * unseen
        mean += np.einsum("ij,ij->i", values @ self._pairs, values)
        if self._squares is not None:
            mean += np.einsum("ij,ij->i", values @ self._cubes + self._squares, values**2)
        near = made.astype(np.float32) @ self._near + unseen[:, None].astype(np.float32) * self._near_unseen
        negative = near @ self._right[:-1] + self._right[-1] - 0.5 * np.sum(near**2, axis=1)[:, None]
        mean += decay(negative) @ self._pulls
        return self._offset + self._unit * mean

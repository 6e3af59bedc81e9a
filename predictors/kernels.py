"""The similarities that the ridge weighs: a linear kernel for each group of columns, and one of all interactions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from predictors.encoding import Group
from predictors.rows import Array

INTERACTING = (Group.CHOICES, Group.TOTALS)
"""The groups whose interactions of every order the last kernel holds."""

ROWS_IN_CACHE = 512
"""Whose interactions with a few hundred others fit into a core's cache."""

MEDIAN, CORRECTION = 0.3, 0.03
"""Prior medians of the weight of a kernel, and of a kernel that only corrects what sources say."""


class Kernels:
    """Kernels over rows of a column matrix, each scaled to a mean of 1 over the rows (n, columns) it was made from.

    Columns are centred; those without a natural unit are scaled to unit variance, while indicators keep theirs, for a
    rare category would otherwise count for more than a common one. A column that does not vary is left out unless it is
    an indicator, where a first appearance must lower similarity. The last kernel is exp(-d / 2), d the squared distance
    in choices and totals: by its series every product of j columns takes part, with a weight falling as 1 / j!.
    """

    def __init__(self, columns: Array, groups: npt.NDArray[np.intp], indicator: npt.NDArray[np.bool_]) -> None:
        self.centre = columns.mean(axis=0)
        spread = columns.std(axis=0)
        unit = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-12)
        self.scale = np.where(indicator, 1.0, unit)
        self.groups: list[Group] = []
        self.parts: list[npt.NDArray[np.intp]] = []
        interacting: list[npt.NDArray[np.intp]] = []
        for group in np.unique(groups):
            part = np.flatnonzero((groups == group) & (self.scale > 0))
            power = np.sum((spread * self.scale)[part] ** 2)
            if power > 0:
                self.scale[part] /= np.sqrt(power)
                self.groups.append(Group(group))
                self.parts.append(part)
                interacting += [part] if group in INTERACTING else []
        none = np.empty(0, dtype=np.intp)
        self.linear, self.interacting = np.concatenate([none, *self.parts]), np.concatenate([none, *interacting])
        self.num_interacting = max(len(interacting), 1)

    @property
    def medians(self) -> Array:
        """Prior medians of the weights (kernels,), as shares of the variance of the targets.

        With sources, what the choices say is a correction to what the sources say.
        """
        sourced = Group.SOURCES in self.groups
        return np.array(
            [CORRECTION if sourced and group != Group.SOURCES else MEDIAN for group in [*self.groups, None]]
        )

    def each(self, a: Array) -> Array:
        """(kernels, rows, rows): one similarity matrix for each kernel."""
        z = self._scaled(a)
        linear = [z[:, part] @ z[:, part].T for part in self.parts]
        return np.stack([*linear, self.interactions(a, a)])

    def by_column(self, weights: Array) -> Array:
        """The weight of the linear kernel that each column of `terms` belongs to."""
        return np.repeat(weights[:-1], [len(part) for part in self.parts])

    def terms(self, a: Array) -> Array:
        """The columns of the linear kernels (rows, columns): a weighted sum of those kernels is a product of these."""
        return self._scaled(a)[:, self.linear]

    def slopes(self, coefficients: Array) -> Array:
        """(columns,) of the raw columns, for coefficients of `terms`: both add up to the same but for a constant."""
        slopes = np.zeros(len(self.scale))
        slopes[self.linear] = coefficients * self.scale[self.linear]
        return slopes

    def interactions(self, a: Array, b: Array) -> Array:
        """The last kernel alone: (rows of a, rows of b)."""
        left, right = self._left(a), self._right(b)
        return decay(left @ right.T)

    def pulled(self, a: Array, b: Array, pulls: Array) -> Array:
        """`interactions(a, b) @ pulls` (rows of a,), in single precision: enough for a mean, and faster by far."""
        right, singles, total = self._right(b).astype(np.float32), pulls.astype(np.float32), np.empty(len(a))
        for start in range(0, len(a), ROWS_IN_CACHE):
            some = slice(start, start + ROWS_IN_CACHE)
            total[some] = decay(self._left(a[some]).astype(np.float32) @ right.T) @ singles
        return total

    def _scaled(self, columns: Array) -> Array:
        return (columns - self.centre) * self.scale

    def _left(self, a: Array) -> Array:
        """With `_right`, two matrices whose product is -d / 2 of each pair of rows."""
        z = self.near(a)
        return np.column_stack([z, -0.5 * np.sum(z**2, axis=1), np.ones(len(z))])

    def _right(self, b: Array) -> Array:
        z = self.near(b)
        return np.column_stack([z, np.ones(len(z)), -0.5 * np.sum(z**2, axis=1)])

    def near(self, columns: Array) -> Array:
        """Coordinates (rows, interacting columns) between which d is the squared distance."""
        unit = self.scale[self.interacting] * self.num_interacting**-0.5
        return (columns[:, self.interacting] - self.centre[self.interacting]) * unit


def decay(negative: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """exp of a matrix that is not above 0 but for rounding, in place."""
    return np.exp(np.minimum(negative, 0.0, out=negative), out=negative)

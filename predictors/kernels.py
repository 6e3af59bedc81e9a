"""The similarities that the ridge weighs: a linear kernel for each group of columns, and one of all interactions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from predictors.encoding import Group
from predictors.rows import Array

INTERACTING = (Group.CHOICES, Group.TOTALS)
"""The groups whose interactions of every order the last kernel holds."""

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
        return np.stack([*linear, self._interactions(z, z)])

    def by_column(self, weights: Array) -> Array:
        """The weight of the linear kernel that each column of `terms` belongs to."""
        return np.repeat(weights[:-1], [len(part) for part in self.parts])

    def terms(self, a: Array) -> Array:
        """The columns of the linear kernels (rows, columns): a weighted sum of those kernels is a product of these."""
        return self._scaled(a)[:, self.linear]

    def interactions(self, a: Array, b: Array) -> Array:
        """The last kernel alone: (rows of a, rows of b)."""
        return self._interactions(self._scaled(a), self._scaled(b))

    def _scaled(self, columns: Array) -> Array:
        return (columns - self.centre) * self.scale

    def _interactions(self, za: Array, zb: Array) -> Array:
        unit = self.num_interacting**-0.5
        a, b = za[:, self.interacting] * unit, zb[:, self.interacting] * unit
        negative = a @ b.T
        negative -= 0.5 * np.sum(a**2, axis=1)[:, None]
        negative -= 0.5 * np.sum(b**2, axis=1)
        np.minimum(negative, 0.0, out=negative)
        return np.exp(negative, out=negative)

"""The scale of losses on which guided search predicts and counts hypervolume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SLACK = 1.5
"""How far beyond the median of the first rows losses still differ, in distances from their best tenth to their median.
"""

DIFFER = 0.8
"""And this share of all rows differs: the first may be alike by chance."""


class Scale(Protocol):
    @property
    def worst(self) -> float:
        """The loss, on the scale, from which on nothing is won."""

    def forward(self, losses: Floats) -> Floats:
        """Never falls as losses rise."""


@dataclass(frozen=True)
class Linear:
    """Costs as they are: parts of a network add up. `worst` is the largest seen."""

    worst: float

    def forward(self, losses: Floats) -> Floats:
        return losses


@dataclass(frozen=True)
class Compressed:
    """log(1 + distance to the best, in units of the typical distance), and never more than `worst`.

    Good losses differ as they are, bad ones less and less, and those that are worse than typical by far do not differ:
    a few architectures that fail would else decide what is learned of all others.
    """

    best: float
    unit: float
    worst: float

    @classmethod
    def fit(cls, losses: Floats, num_first: int) -> Compressed:
        """`num_first` losses are those of architectures drawn at random, and say what is typical."""
        best = float(losses.min())
        unit = float(np.median(losses[:num_first] - best)) or 1.0
        distances = np.log1p((losses - best) / unit)
        tenth, median = np.quantile(distances[:num_first], (0.1, 0.5))
        worst = max(median + SLACK * (median - tenth), float(np.quantile(distances, DIFFER)))
        return cls(best, unit, float(worst) or 1.0)

    def forward(self, losses: Floats) -> Floats:
        distances = np.maximum(losses - self.best, -0.5 * self.unit) / self.unit
        return np.minimum(np.log1p(distances), self.worst)

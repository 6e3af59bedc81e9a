"""What guided search believes of architectures that were not measured: predictors, fitted to rows.

The one file of this package that knows the predictors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from predictors import LatencyPredictor, RidgePredictor
from search_space import ChoiceMatrix

Floats = NDArray[np.float64]


class Belief(Protocol):
    """A fitted predictor of one metric."""

    def mean(self, candidates: ChoiceMatrix, /) -> Floats:
        """(candidates,)"""

    def spread(self, candidates: ChoiceMatrix, /) -> tuple[Floats, Floats]:
        """Means and standard deviations (candidates,) of new measurements."""


Fit = Callable[[ChoiceMatrix, Floats, bool], Belief]
"""From architectures, a number of each, and whether it is a cost: positive, a sum of the costs of parts."""


class Ridge:
    """The ridge of the predictors with its own error bars: cross-validated ones take twenty fits, for each new row."""

    def __init__(self, measured: ChoiceMatrix, values: Floats, is_cost: bool) -> None:
        predictor = LatencyPredictor(kind="ridge") if is_cost else RidgePredictor()
        self._predictor = predictor.fit([measured.choices(i) for i in range(len(measured))], values)
        self._mean = self._predictor.compiled(measured.decisions)

    def mean(self, candidates: ChoiceMatrix, /) -> Floats:
        return self._mean(candidates.codes)

    def spread(self, candidates: ChoiceMatrix, /) -> tuple[Floats, Floats]:
        return self._predictor.posterior(candidates)

"""LatencyPredictor: parts add up in milliseconds, noise multiplies."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from predictors.links import Link, Log
from predictors.predictor import Predictor
from predictors.ridge import GroupedRidge
from predictors.rows import Array
from search_space import UserError


class AdditiveLatency(GroupedRidge):
    """Ridge in milliseconds, where the parts of a network add up, with relative noise; talks in logarithms."""

    def fit(self, columns: Array, targets: Array) -> Self:
        self.floor_ = np.exp(targets.min()) / 2
        return super().fit(columns, np.exp(targets))

    def predict(self, columns: Array) -> tuple[Array, Array]:
        """Below half of the smallest latency seen, f, the line bends into the hyperbola f^2 / (2 f - mean).

        It is positive, and smooth where they meet. The spread is the way from the mean to one standard deviation above.
        """
        mean, std = super().predict(columns)
        return self._log(mean), np.log1p(std / self._above(mean))

    def answer(self, expected: Array) -> Array:
        return self._log(expected)

    def _above(self, mean: Array) -> Array:
        return np.maximum(mean, 2 * self.floor_ - mean)

    def _log(self, mean: Array) -> Array:
        log = np.log(self._above(mean))
        return np.where(mean > self.floor_, log, 2 * np.log(self.floor_) - log)


class LatencyPredictor(Predictor):
    """Latency in milliseconds, or any positive cost, from rows of choices.

    Residuals are taken on the logarithm, so error bars are relative and intervals positive; latencies in another unit
    give the same predictions in that unit. `kind` is `ridge` (additive in milliseconds), `boosting` (on the logarithm),
    or `auto`, their best blend on held-out rows; `seed` draws the folds. Fitting raises UserError for a latency that is
    not positive.
    """

    larger_is_better: ClassVar[bool] = False

    def __init__(self, kind: str = "auto", seed: int = 0) -> None:
        self.kind = kind
        self.seed = seed

    def predict_within(self, rows: Any, limit: float) -> Array:
        """Probability (rows,) that a new measurement is at most `limit`, for errors that are log-normal.

        Raises UserError for a limit that is not one number above 0.
        """
        if not isinstance(limit, int | float | np.number) or not limit > 0:
            raise UserError(f"limit={limit!r} must be a number above 0, in the unit of the latencies")
        mean, std = self.crossfit_.central(self.encode(rows))
        return np.asarray(norm.cdf((np.log(limit) - mean) / std))

    def _link(self) -> Link:
        return Log()

    def _ridge(self, groups: npt.NDArray[np.intp], indicator: npt.NDArray[np.bool_]) -> GroupedRidge:
        return AdditiveLatency(groups, indicator, relative_noise=True)

    def _check_targets(self, targets: Array) -> None:
        if targets.min() <= 0:
            raise UserError(
                f"a latency of {targets.min():g} was given; latencies must be above 0; any number can be an accuracy"
            )

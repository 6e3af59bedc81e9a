"""Bayesian ridge over groups of columns: how much each group is shrunk is learned from the rows."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from predictors.evidence import covariance, maximise_evidence
from predictors.kernels import Kernels
from predictors.rows import Array, evenly

TUNING_ROWS = 200
"""Weights are tuned on at most this many rows, evenly spaced; the coefficients always use all."""


class GroupedRidge:
    """Ridge regression on a column matrix (rows, columns) and on the interactions of its columns, in dual form.

    The coefficients of a group of columns share one prior variance, and so one ridge penalty. The penalties maximise
    the marginal likelihood: automatic relevance determination by group (MacKay 1992, Neural Computation 4:415). With
    `relative_noise` the standard deviation of the noise is proportional to the target.
    """

    def __init__(
        self, groups: npt.NDArray[np.intp], indicator: npt.NDArray[np.bool_], relative_noise: bool = False
    ) -> None:
        self.groups = groups
        self.indicator = indicator
        self.relative_noise = relative_noise

    def fit(self, columns: Array, targets: Array) -> Self:
        self.columns_ = columns
        self.offset_ = targets.mean()
        self.unit_ = targets.std() or abs(self.offset_) or 1.0
        self.typical_ = np.sqrt(np.mean(targets**2))
        standard = (targets - self.offset_) / self.unit_
        noise = self._noise(targets)
        self.kernels_ = Kernels(columns, self.groups, self.indicator)
        some = evenly(len(targets), TUNING_ROWS)
        weights = maximise_evidence(
            self.kernels_.each(columns[some]), self.kernels_.medians, noise[some], standard[some]
        )
        self.weights_, self.noise_ = weights[:-1], weights[-1]
        similarity = self.kernels_.weighted(self.weights_, columns, columns)
        self.factor_ = cho_factor(covariance(similarity, self.noise_ * noise), lower=True)
        self.dual_ = cho_solve(self.factor_, standard)
        return self

    def predict(self, columns: Array) -> tuple[Array, Array]:
        """Mean and standard deviation (rows,) of a new measurement (Rasmussen and Williams 2006, eq. 2.25 and 2.26)."""
        similarity = self._similarity(columns)
        mean = self.offset_ + self.unit_ * similarity @ self.dual_
        variance = self._unexplained(columns, similarity) + self.noise_ * self._noise(mean)
        return mean, self.unit_ * np.sqrt(variance)

    def doubt(self, columns: Array) -> Array:
        """The standard deviation (rows,) of the expected target, over that of the targets."""
        return np.sqrt(self._unexplained(columns, self._similarity(columns)))

    def mean(self, columns: Array) -> Array:
        """The expected target (rows,), on the scale of the fit."""
        return self.offset_ + self.unit_ * self._similarity(columns) @ self.dual_

    def _unexplained(self, columns: Array, similarity: Array) -> Array:
        """The variance (rows,) that the training rows leave of the prior's."""
        explained = np.sum(solve_triangular(self.factor_[0], similarity.T, lower=True) ** 2, axis=0)
        return np.maximum(1.0 + self.kernels_.diagonal(self.weights_, columns) - explained, 0.0)

    def _similarity(self, columns: Array) -> Array:
        return 1.0 + self.kernels_.weighted(self.weights_, columns, self.columns_)

    def _noise(self, targets: Array) -> Array:
        return (targets / self.typical_) ** 2 if self.relative_noise else np.ones(len(targets))

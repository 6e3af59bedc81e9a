"""Bayesian ridge over groups of columns: how much each group is shrunk is learned from the rows."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular

from predictors.evidence import maximise_evidence
from predictors.kernels import Kernels
from predictors.posterior import Posterior
from predictors.rows import Array, evenly

TUNING_ROWS = 200
"""Weights are tuned on at most this many rows, evenly spaced."""

INDUCING_ROWS = 400
"""Interactions are those with at most this many rows, evenly spaced; the coefficients always use all rows."""

JITTER = 1e-8
"""Added to the interactions of equal rows, so that they can be told apart."""


class GroupedRidge:
    """Ridge regression on a column matrix (rows, columns) and on the interactions of its columns.

    The coefficients of a group of columns share one prior variance, and so one ridge penalty. The penalties maximise
    the marginal likelihood: automatic relevance determination by group (MacKay 1992, Neural Computation 4:415). With
    `relative_noise` the standard deviation of the noise is proportional to the target.

    Up to INDUCING_ROWS rows it is the Gaussian process of its kernels. With more, the interactions are projected onto
    the inducing rows, and what the projection leaves counts as unexplained (fully independent training conditional,
    Quinonero-Candela & Rasmussen 2005, section 6, but for the noise): so work and memory grow linearly with the rows.
    """

    def __init__(
        self, groups: npt.NDArray[np.intp], indicator: npt.NDArray[np.bool_], relative_noise: bool = False
    ) -> None:
        self.groups = groups
        self.indicator = indicator
        self.relative_noise = relative_noise

    def fit(self, columns: Array, targets: Array) -> Self:
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
        self.inducing_ = columns[evenly(len(targets), INDUCING_ROWS)]
        similarity = self.kernels_.interactions(self.inducing_, self.inducing_)
        self.factor_ = cholesky(similarity + JITTER * np.eye(len(similarity)), lower=True)
        self.posterior_ = Posterior(self._features(columns), standard, self.noise_ * noise + 1e-9)
        num_terms = len(self.kernels_.linear)
        constant, terms, interactions = np.split(self.posterior_.mean, [1, 1 + num_terms])
        self.slopes_ = self.kernels_.slopes(terms * np.sqrt(self.kernels_.by_column(self.weights_)))
        self.constant_ = constant[0] - self.kernels_.centre @ self.slopes_
        self.pulls_ = np.sqrt(self.weights_[-1]) * solve_triangular(self.factor_, interactions, lower=True, trans=1)
        return self

    def predict(self, columns: Array) -> tuple[Array, Array]:
        """Mean and standard deviation (rows,) of a new measurement (Rasmussen and Williams 2006, eq. 2.9)."""
        mean = self.expected(columns)
        variance = self._unexplained(columns) + self.noise_ * self._noise(mean)
        return mean, self.unit_ * np.sqrt(variance)

    def mean(self, columns: Array) -> Array:
        """The mean (rows,) alone, which takes far less time."""
        return self.answer(self.expected(columns))

    def answer(self, expected: Array) -> Array:
        """The mean (rows,) for expected targets: itself."""
        return expected

    def doubt(self, columns: Array) -> Array:
        """The standard deviation (rows,) of the expected target, over that of the targets."""
        return np.sqrt(self._unexplained(columns))

    def expected(self, columns: Array) -> Array:
        """The expected target (rows,), on the scale on which parts add up."""
        standard = columns @ self.slopes_ + self.constant_
        standard += self.kernels_.pulled(columns, self.inducing_, self.pulls_)
        return self.offset_ + self.unit_ * standard

    def _features(self, columns: Array) -> Array:
        """(rows, features) whose products are the weighted kernels: a constant for the mean, terms, interactions."""
        terms = self.kernels_.terms(columns) * np.sqrt(self.kernels_.by_column(self.weights_))
        similarity = self.kernels_.interactions(self.inducing_, columns)
        interactions = np.sqrt(self.weights_[-1]) * solve_triangular(self.factor_, similarity, lower=True).T
        return np.hstack([np.ones((len(columns), 1)), terms, interactions])

    def _unexplained(self, columns: Array) -> Array:
        """The variance (rows,) that the training rows leave of the prior's."""
        features = self._features(columns)
        projected = np.sum(features[:, 1 + len(self.kernels_.linear) :] ** 2, axis=1)
        left = self.posterior_.variance(features) + np.maximum(self.weights_[-1] - projected, 0.0)
        return np.maximum(left, 0.0)

    def _noise(self, targets: Array) -> Array:
        return (targets / self.typical_) ** 2 if self.relative_noise else np.ones(len(targets))

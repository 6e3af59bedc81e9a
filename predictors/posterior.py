"""Bayesian linear regression on features whose weights are standard normal a priori."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from predictors.rows import Array


class Posterior:
    """What targets (rows,) with independent noise of these variances (rows,) tell of the weights of features
    (rows, features): their `mean` (features,). Worked out in the smaller of the two dimensions.

    Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, equations 2.8 and 2.12.
    """

    def __init__(self, features: Array, targets: Array, variances: Array) -> None:
        precision = 1 / np.sqrt(variances)
        whitened, targets = features * precision[:, None], targets * precision
        self._rows = whitened if len(whitened) < whitened.shape[1] else None
        gram = whitened.T @ whitened if self._rows is None else whitened @ whitened.T
        gram[np.diag_indices_from(gram)] += 1
        self._factor = cho_factor(gram, lower=True)
        if self._rows is None:
            self.mean = cho_solve(self._factor, whitened.T @ targets)
        else:
            self.mean = whitened.T @ cho_solve(self._factor, targets)

    def variance(self, features: Array) -> Array:
        """Of the expected target (rows,) of new features (rows, features)."""
        if self._rows is None:
            return np.sum(solve_triangular(self._factor[0], features.T, lower=True) ** 2, axis=0)
        explained = solve_triangular(self._factor[0], self._rows @ features.T, lower=True)
        return np.sum(features**2, axis=1) - np.sum(explained**2, axis=0)

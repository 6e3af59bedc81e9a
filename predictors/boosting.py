"""Gradient-boosted trees on the same columns as the ridge."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingRegressor

from predictors.encoding import Group
from predictors.rows import Array


class BoostedTrees:
    """Small trees (4 leaves), slowly added: chosen for tens to hundreds of rows.

    They do not see the products at every position, many columns of what trees form themselves.
    """

    def __init__(self, groups: npt.NDArray[np.intp], seed: int) -> None:
        self.columns = np.flatnonzero(groups != Group.PRODUCTS)
        self.seed = seed

    def fit(self, columns: Array, targets: Array) -> Self:
        self.trees_ = HistGradientBoostingRegressor(
            max_leaf_nodes=4, min_samples_leaf=5, max_features=0.5, early_stopping=False, random_state=self.seed
        )
        self.trees_.fit(columns[:, self.columns], targets)
        return self

    def predict(self, columns: Array) -> tuple[Array, Array]:
        """Mean (rows,), and a spread of one everywhere: trees say nothing on where they are unsure."""
        return self.trees_.predict(columns[:, self.columns]), np.ones(len(columns))

    def doubt(self, columns: Array) -> Array:
        """None (rows,), for the same reason."""
        return np.zeros(len(columns))

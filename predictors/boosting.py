"""Gradient-boosted trees on the same columns as the ridge."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingRegressor

from predictors.encoding import Group
from predictors.rows import Array


class BoostedTrees:
    """Small trees (4 leaves), slowly added: chosen for tens to hundreds of rows.

    They do not see the products and squares at every position, many columns of what trees form themselves.
    """

    def __init__(self, groups: npt.NDArray[np.intp], seed: int) -> None:
        self.columns = np.flatnonzero(~np.isin(groups, (Group.PRODUCTS, Group.SQUARES)))
        self.seed = seed

    def fit(self, columns: Array, targets: Array) -> Self:
        self.trees_ = HistGradientBoostingRegressor(
            max_leaf_nodes=4, min_samples_leaf=5, max_features=0.5, early_stopping=False, random_state=self.seed
        )
        self.trees_.fit(columns[:, self.columns], targets)
        return self

    def predict(self, columns: Array) -> tuple[Array, Array]:
        """Mean (rows,), and a spread of one everywhere: trees say nothing on where they are unsure."""
        return self.mean(columns), np.ones(len(columns))

    def mean(self, columns: Array) -> Array:
        """The mean (rows,) alone: what the trees' own `predict` gives, which takes several times as long for trees as
        small as these.
        """
        by_column = np.ascontiguousarray(columns[:, self.columns].T)
        total = np.full(len(columns), self.trees_._baseline_prediction.item())
        for (tree,) in self.trees_._predictors:
            total += _answer(tree.nodes, 0, by_column)
        return total

    def doubt(self, columns: Array) -> Array:
        """None (rows,), for the same reason."""
        return np.zeros(len(columns))


def _answer(nodes: npt.NDArray[Any], i: int, by_column: Array) -> Array | float:
    """What the branch of a tree at node i says of each row of a matrix (columns, rows)."""
    node = nodes[i]
    if node["is_leaf"]:
        return float(node["value"])
    left = by_column[node["feature_idx"]] <= node["num_threshold"]
    return np.where(left, _answer(nodes, node["left"], by_column), _answer(nodes, node["right"], by_column))

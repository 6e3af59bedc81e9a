"""Sources: choices measured on other devices or tasks, learned so as to help with a new one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from predictors.encoding import ChoiceEncoder
from predictors.links import Link
from predictors.ridge import GroupedRidge
from predictors.rows import Array, Rows, evenly
from search_space import ChoiceMatrix

SOURCE_ROWS = 600
"""A source is learned from at most this many of its rows."""


@dataclass(frozen=True)
class Source:
    """What was learned of one device or task."""

    encoder: ChoiceEncoder
    ridge: GroupedRidge

    @classmethod
    def learn(
        cls,
        table: Rows,
        targets: Array,
        link: Link,
        make_ridge: Callable[[npt.NDArray[np.intp], npt.NDArray[np.bool_]], GroupedRidge],
    ) -> Source:
        some = evenly(len(table), SOURCE_ROWS)
        rows = table.at(some)
        encoder, link = ChoiceEncoder().fit(rows), link.fit(targets[some])
        columns = encoder.transform(rows)
        ridge = make_ridge(encoder.groups_, encoder.indicator_).fit(columns, link.forward(targets[some]))
        return cls(encoder, ridge)

    def predict(self, table: Rows | ChoiceMatrix) -> Array:
        """What this device or task would give for the rows (rows,), on the scale where its parts add up."""
        return self.ridge.expected(self.encoder.transform(table))

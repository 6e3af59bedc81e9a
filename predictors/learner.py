"""The contract of what a predictor is made of."""

from __future__ import annotations

from typing import Protocol, Self

from predictors.rows import Array


class Learner(Protocol):
    """Learns from columns (rows, columns) and targets (rows,) on the scale of a link."""

    def fit(self, columns: Array, targets: Array) -> Self: ...

    def predict(self, columns: Array) -> tuple[Array, Array]:
        """Mean and spread (rows,) on the same scale; the spread need only be right up to a factor."""
        ...

    def mean(self, columns: Array) -> Array:
        """The mean (rows,) alone."""
        ...

    def doubt(self, columns: Array) -> Array:
        """How far each row (rows,) is from what was learned, in a unit of the learner's own; 0 where it cannot tell."""
        ...

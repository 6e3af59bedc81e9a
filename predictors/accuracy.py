"""AccuracyPredictor: ranks first, for a few architectures fail badly and the good ones lie close together."""

from __future__ import annotations

from typing import ClassVar

from predictors.links import Link, NormalScores
from predictors.predictor import Predictor


class AccuracyPredictor(Predictor):
    """Accuracy in any unit, or any score, from rows of choices.

    The learners predict normal scores (`NormalScores`), so adding a constant to all accuracies adds it to all
    predictions. `kind` is `ridge`, `boosting`, or `auto`, their best blend on held-out rows; `seed` draws the folds.
    """

    ranks_measurements: ClassVar[bool] = True

    def __init__(self, kind: str = "auto", seed: int = 0) -> None:
        self.kind = kind
        self.seed = seed

    def _link(self) -> Link:
        return NormalScores()

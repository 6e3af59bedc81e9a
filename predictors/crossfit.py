"""Learners fitted on all rows and, for honest error bars, on all but each fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from predictors.conformal import cv_plus, split
from predictors.learner import Learner
from predictors.rows import Array
from predictors.threads import few_threads

ROWS_TIMES_FOLDS = 3000
"""Bounds the work: 20 folds up to 150 rows, then fewer, 3 at the least. With few folds their models know much less than
the final one, and intervals come out too wide."""
SECOND_FOLDS = 5
"""At most, of the second learner, which takes longer and only adds what the first one misses: unions of folds."""
MIN_SPREAD = 0.01
"""Of the standard deviation of the scores: a spread below it says only that a learner saw few rows that differ."""
FAR = 1.5
"""Times the most doubt about a held-out row, from where on a row is far from the data."""
NORMAL_90 = float(norm.ppf(0.9))
TRUST_IN_FIRST = 16.0
"""The second learner enters the blend as if this many more held-out rows had shown that it adds nothing."""


class CrossFit:
    """One learner, or the blend of two, on columns (rows, columns) and scores (rows,), the targets on the link's scale.

    Rows with equal `keys` stay in one fold, so that copies of an architecture do not pass for a test. `share` is the
    weight of the first learner. One learner's mean needs no folds, which are fitted for its first error bar.
    """

    def __init__(
        self, makers: list[Callable[[], Learner]], columns: Array, scores: Array, keys: list[str], seed: int
    ) -> None:
        self.learners = [make().fit(columns, scores) for make in makers]
        self.floor = max(MIN_SPREAD * scores.std(), 1e-12)
        self._fit_folds = partial(Folds, makers, columns, scores, keys, seed, self.floor)
        self.share = 1.0 if len(makers) == 1 else self.folds.share

    @cached_property
    def folds(self) -> Folds:
        return self._fit_folds()

    def mean(self, columns: Array) -> Array:
        """The mean (rows,) alone."""
        mean = self.learners[0].mean(columns)
        return mean if self.share == 1 else self.share * mean + (1 - self.share) * self.learners[-1].mean(columns)

    def predict(self, columns: Array) -> tuple[Array, Array]:
        """Mean and standard deviation (rows,) of a new measurement."""
        mean, spread = self._blend(self.learners, columns)
        return mean, spread * self.folds.calibration

    def central(self, columns: Array) -> tuple[Array, Array]:
        """Mean and standard deviation (rows,) of the normal distribution whose middle 80% hold as many held-out
        errors: a few wild ones do not widen it.
        """
        mean, spread = self._blend(self.learners, columns)
        return mean, spread * np.quantile(self.folds.residuals, 0.8) / NORMAL_90

    def interval(self, columns: Array, coverage: float) -> tuple[Array, Array]:
        """Ends (rows,) of CV+ intervals, never excluding the prediction itself."""
        by_fold = np.array([self._blend(learners, columns) for learners in self.folds.learners])
        centre, spread = by_fold[self.folds.fold, 0].T, by_fold[self.folds.fold, 1].T
        low, high = cv_plus(centre, self.folds.residuals * spread, coverage)
        mean, _ = self._blend(self.learners, columns)
        return np.minimum(low, mean), np.maximum(high, mean)

    def far(self, columns: Array) -> npt.NDArray[np.bool_]:
        """Whether the first learner doubts each row (rows,) more than any that was held out of its fit."""
        return self.learners[0].doubt(columns) > FAR * self.folds.most_doubt

    def _blend(self, learners: Sequence[Learner], columns: Array) -> tuple[Array, Array]:
        predicted = [learner.predict(columns) for learner in learners]
        mean = self.share * predicted[0][0] + (1 - self.share) * predicted[-1][0]
        return mean, np.maximum(predicted[0][1], self.floor)


class Folds:
    """Learners fitted without each fold, and what they get wrong on it.

    `learners` are those of each fold, `fold` (rows,) says which one held a row out. `residuals` are those of held-out
    rows in units of the spread that the first learner predicted for them, at least `floor`, and `calibration` turns
    that spread into a standard deviation.
    """

    def __init__(
        self,
        makers: list[Callable[[], Learner]],
        columns: Array,
        scores: Array,
        keys: list[str],
        seed: int,
        floor: float,
    ) -> None:
        self.fold = split(keys, int(np.clip(ROWS_TIMES_FOLDS // len(keys), 3, 20)), seed)
        folds = [self.fold] + [self.fold % SECOND_FOLDS] * (len(makers) - 1)
        with few_threads(len(scores)):
            by_learner = [
                [make().fit(columns[fold != k], scores[fold != k]) for k in range(fold.max() + 1)]
                for make, fold in zip(makers, folds, strict=True)
            ]
        self.learners = [[each[k % len(each)] for each in by_learner] for k in range(self.fold.max() + 1)]
        held_out, doubts = np.empty((len(makers), 2, len(scores))), np.empty(len(scores))
        for k, learners in enumerate(self.learners):
            out = self.fold == k
            held_out[:, :, out] = [learner.predict(columns[out]) for learner in learners]
            doubts[out] = learners[0].doubt(columns[out])
        self.share = 1.0 if len(makers) == 1 else best_share(scores, held_out[0, 0], held_out[1, 0])
        mean = self.share * held_out[0, 0] + (1 - self.share) * held_out[-1, 0]
        spread = np.maximum(held_out[0, 1], floor)
        self.residuals = np.abs(scores - mean) / spread
        self.most_doubt = doubts.max()
        self.calibration = np.sqrt(np.mean((scores - mean) ** 2) / np.mean(spread**2))


def best_share(scores: Array, first: Array, second: Array) -> float:
    """The weight of the first of two held-out predictions (rows,) in the blend of least squared error, shrunk to one.

    Stacked regressions (Breiman 1996), with the prior of TRUST_IN_FIRST.
    """
    apart = first - second
    prior = TRUST_IN_FIRST * np.mean((scores - first) ** 2)
    power = apart @ apart + prior
    return float(np.clip((apart @ (scores - second) + prior) / power, 0.0, 1.0)) if power > 0 else 1.0

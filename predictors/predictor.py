"""What the predictors have in common: an estimator over rows of choices with calibrated error bars."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, overload

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from predictors.boosting import BoostedTrees
from predictors.compiled import CompiledRidge
from predictors.crossfit import CrossFit
from predictors.encoding import ChoiceEncoder, Group
from predictors.learner import Learner
from predictors.links import Link
from predictors.ridge import GroupedRidge
from predictors.rows import Array, Rows, as_table, measured
from predictors.sources import Source
from predictors.threads import few_threads
from search_space import ChoiceMatrix, Scalar, UserError

KINDS = ("auto", "ridge", "boosting")
BLENDING_ROWS = 50
"""With fewer rows, `auto` is the ridge alone."""

ROWS_AT_ONCE = 2**14
"""Predicted together: bounds the memory of what is between."""

Sources = Sequence[tuple[str, Any, Any]]
"""Other devices or tasks: name, rows and targets of each."""


class Predictor(RegressorMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """A scikit-learn estimator over rows of choices: a DataFrame, a list of dicts or a ChoiceMatrix.

    Neither the order of the rows nor that of the names in them changes anything. Refit from rows instead of pickling.
    """

    kind: str
    seed: int
    larger_is_better: ClassVar[bool] = True
    ranks_measurements: ClassVar[bool] = False
    """Whether numbers that are measurements enter by their ranks (`ChoiceEncoder`)."""

    @abstractmethod
    def _link(self) -> Link:
        """The scale on which the learners work and residuals are alike."""

    def _ridge(self, groups: npt.NDArray[np.intp], indicator: npt.NDArray[np.bool_]) -> GroupedRidge:
        return GroupedRidge(groups, indicator)

    def _check_targets(self, targets: Array) -> None:
        """Raises UserError for targets that this predictor cannot mean."""

    def fit(self, rows: Any, y: Any, sources: Sources | None = None) -> Self:
        """Learn from measured rows.

        `sources` are rows measured on other devices or tasks, the same rows or not. What is predicted of them becomes a
        group of columns here, so that ten rows of a new device can do. Raises UserError for rows or targets that are
        wrong or too few.
        """
        if self.kind not in KINDS:
            raise UserError(f"kind={self.kind!r} is not one of ({', '.join(KINDS)}); choose among these")
        if not isinstance(self.seed, int | np.integer) or self.seed < 0:
            raise UserError(f"seed={self.seed!r} must be a whole number, 0 or more")
        table, targets, keys = measured(rows, y)
        self._check_targets(targets)
        if keys[0] == keys[-1]:
            raise UserError(f"all {len(table)} rows make the same choices; give at least two that differ")
        with few_threads(len(table)):
            self.encoder_ = ChoiceEncoder(ranked=self.ranks_measurements).fit(table)
            self.sources_ = [self._learn_source(*each, table) for each in _as_sources(sources)]
            self.link_ = self._link().fit(targets)
            scores = self.link_.forward(targets)
            self.crossfit_ = CrossFit(self._makers(len(table)), self._columns(table), scores, keys, self.seed)
        return self

    @overload
    def predict(self, rows: Any, return_std: Literal[False] = False) -> Array: ...

    @overload
    def predict(self, rows: Any, return_std: Literal[True]) -> tuple[Array, Array]: ...

    def predict(self, rows: Any, return_std: bool = False) -> Array | tuple[Array, Array]:
        """Predictions (rows,) in the unit of the targets, and on demand the standard deviation of a new measurement."""
        check_is_fitted(self)
        columns = self.encode(rows)
        if not return_std:
            return self.predict_encoded(columns)
        mean, std = self.crossfit_.predict(columns)
        return self._in_unit(mean, std)

    def posterior(self, rows: Any) -> tuple[Array, Array]:
        """Mean and standard deviation (rows,) of a new measurement as the ridge, or the only learner, believes them.

        `predict` scales standard deviations by held-out rows, for which it fits many times; a search that fits anew
        after every row cannot.
        """
        check_is_fitted(self)
        table = as_table(rows)
        parts = [table.at(slice(i, i + ROWS_AT_ONCE)) for i in range(0, len(table), ROWS_AT_ONCE)]
        predicted = [self.crossfit_.learners[0].predict(self.encode(part)) for part in parts]
        mean, std = np.hstack([np.empty((2, 0)), *predicted])
        return self._in_unit(mean, std)

    def _in_unit(self, mean: Array, std: Array) -> tuple[Array, Array]:
        """Means and standard deviations (rows,) of scores in the unit of the targets."""
        above, below = self.link_.inverse(mean + std), self.link_.inverse(mean - std)
        return self.link_.inverse(mean), (above - below) / 2

    def compiled(self, decisions: Mapping[str, tuple[Scalar, ...]]) -> Callable[[npt.NDArray[np.int16]], Array]:
        """`predict` for codes (rows, decisions) of a ChoiceMatrix over these decisions, ten times as fast.

        Of a ridge alone, without sources; raises UserError otherwise.
        """
        check_is_fitted(self)
        learner = self.crossfit_.learners[0]
        if self.sources_ or len(self.crossfit_.learners) > 1 or not isinstance(learner, GroupedRidge):
            raise UserError("only a predictor of kind='ridge' without sources can be compiled")
        compiled = CompiledRidge(self.encoder_, learner, decisions)
        return lambda codes: self.link_.inverse(learner.answer(compiled.expected(codes)))

    def encode(self, rows: Any) -> Array:
        """Rows of choices as the columns (rows, columns) that the predictor works on."""
        check_is_fitted(self)
        return self._columns(as_table(rows))

    def predict_encoded(self, columns: Array) -> Array:
        """Predictions (rows,) for what `encode` gave, many at once: encoding takes most of the time of `predict`."""
        check_is_fitted(self)
        parts = [columns[i : i + ROWS_AT_ONCE] for i in range(0, len(columns), ROWS_AT_ONCE)]
        return self.link_.inverse(np.concatenate([self.crossfit_.mean(part) for part in parts]))

    def predict_interval(self, rows: Any, coverage: float = 0.9) -> tuple[Array, Array]:
        """Ends (rows,) of intervals that hold a new measurement with probability `coverage` (see `cv_plus`).

        With fewer than coverage / (1 - coverage) training rows, 9 for 0.9, nothing can be promised: they are infinite.
        """
        check_is_fitted(self)
        if not 0 < coverage < 1:
            raise UserError(f"coverage={coverage} must lie between 0 and 1, such as 0.9")
        low, high = self.crossfit_.interval(self.encode(rows), coverage)
        return self.link_.inverse(low), self.link_.inverse(high)

    def far_from_data(self, rows: Any) -> npt.NDArray[np.bool_]:
        """Whether each row (rows,) lies too far from the training rows for its prediction to be trusted: the ridge is
        `FAR` times less sure of it than of any training row while that was held out, or a name is new or missing that
        none or all of them had. Trees alone cannot tell.
        """
        check_is_fitted(self)
        table = as_table(rows)
        return self.crossfit_.far(self.encode(table)) | self.encoder_.unnamed(table)

    def _columns(self, table: Rows | ChoiceMatrix) -> Array:
        return np.column_stack([self.encoder_.transform(table), *(source.predict(table) for source in self.sources_)])

    def _learn_source(self, name: str, rows: Any, y: Any, own: Rows) -> Source:
        try:
            table, targets, _ = measured(rows, y)
            self._check_targets(targets)
            source = Source.learn(table, targets, self._link(), self._ridge)
            source.predict(own.at([0]))
        except UserError as error:
            raise UserError(f"source {name!r}: {error}") from None
        return source

    def _makers(self, num_rows: int) -> list[Callable[[], Learner]]:
        groups = np.append(self.encoder_.groups_, np.full(len(self.sources_), Group.SOURCES, dtype=np.intp))
        indicator = np.append(self.encoder_.indicator_, np.zeros(len(self.sources_), dtype=bool))

        def ridge() -> Learner:
            return self._ridge(groups, indicator)

        def boosting() -> Learner:
            return BoostedTrees(groups, self.seed)

        if self.kind == "auto":
            return [ridge, boosting] if num_rows >= BLENDING_ROWS else [ridge]
        return [ridge if self.kind == "ridge" else boosting]


def _as_sources(sources: Any) -> list[tuple[str, Any, Any]]:
    """In the order of their names. Raises UserError for what is no list of them."""
    given = [] if sources is None else list(sources)
    for i, each in enumerate(given):
        if not isinstance(each, Sequence) or isinstance(each, str) or len(each) != 3 or not isinstance(each[0], str):
            shown = each if isinstance(each, str) else type(each).__name__
            raise UserError(f"source {i} ({shown}) must be (name, rows, y); give a list of these")
    return sorted(given, key=lambda each: each[0])

"""report_card: how far a predictor can be trusted on these rows, from rows held out of its fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

import numpy as np
from scipy.stats import kendalltau, spearmanr

from predictors.conformal import split
from predictors.predictor import Predictor
from predictors.rows import Array, Rows, measured
from predictors.threads import few_threads

NUM_FOLDS = 5
CHOSEN = 5
"""Rows that are predicted best, among which a user would look."""
CURVE = (0.25, 0.5)
"""Shares of the rows that predictors of the learning curve are given, beside all."""
MIN_ROWS = 8
MIN_KENDALL = 0.5
"""Three of four pairs in the right order."""
MIN_COVERAGE = 0.8
"""Of intervals that promise 0.9."""


@dataclass(frozen=True)
class CurvePoint:
    """Of predictors fitted to so many rows; their errors on rows held out of all fits."""

    rows: int
    kendall: float | None
    mape: float | None


@dataclass(frozen=True)
class ReportCard:
    """Means over repeated cross-validation; None where a quantity is not defined.

    `kendall` and `spearman` are rank correlations between held-out targets and predictions, `mape` the mean absolute
    error and `within_10_percent` the share of errors below a tenth, both relative to the target; `top_5_regret` is how
    much worse than the best row, as a share of it, the best of the five is that are predicted best. `coverage` and
    `width` (in the unit of the targets) belong to intervals that promise 0.9. `learning_curve` has the errors of
    predictors that were given fewer rows: a curve that still falls says that more rows would help. `reason` says why
    `trustworthy` is what it is.
    """

    rows: int
    kendall: float | None
    spearman: float | None
    mape: float | None
    within_10_percent: float | None
    top_5_regret: float | None
    coverage: float | None
    width: float | None
    learning_curve: tuple[CurvePoint, ...]
    trustworthy: bool
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def report_card(
    rows: Any,
    y: Any,
    make_predictor: Callable[[], Predictor],
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ReportCard:
    """Judge what `make_predictor` returns by 5-fold cross-validation, repeated up to three times when rows are few.

    `progress` is called with the number of fits done and of all.
    Too few rows do not raise, they are said in the card; rows or targets that are wrong raise UserError.
    """
    if len(rows) == 0:
        return _unknown(0, "there are no rows")
    table, targets, keys = measured(rows, y)
    distinct = len(set(keys))
    if distinct < MIN_ROWS:
        return _unknown(len(table), f"{distinct} different architectures are too few; {MIN_ROWS} are needed")
    if np.ptp(targets) == 0:
        return _unknown(len(table), f"every target is {targets[0]:g}; there is nothing to predict")
    folds = [split(keys, NUM_FOLDS, seed + repeat) for repeat in range(int(np.clip(100 // len(table), 1, 3)))]
    sizes = [size for share in CURVE if (size := round(share * len(table) * (1 - 1 / NUM_FOLDS))) >= MIN_ROWS]
    made, all_fits = count(), NUM_FOLDS * len(folds) * (1 + len(sizes))

    def make() -> Predictor:
        if progress is not None:
            progress(next(made), all_fits)
        return make_predictor()

    with few_threads(len(table)):
        repeats = [_cross_validate(table, targets, fold, make) for fold in folds]
        curve = [_curve_point(table, targets, folds, size, make, seed) for size in sizes]
    if progress is not None:
        progress(all_fits, all_fits)
    measures = {name: _mean([repeat[name] for repeat in repeats]) for name in repeats[0]}
    trustworthy, reason = _verdict(measures["kendall"], measures["coverage"])
    last = CurvePoint(round(len(table) * (1 - 1 / NUM_FOLDS)), measures["kendall"], measures["mape"])
    return ReportCard(len(table), **measures, learning_curve=(*curve, last), trustworthy=trustworthy, reason=reason)


def _curve_point(
    table: Rows,
    targets: Array,
    folds: list[Any],
    num_rows: int,
    make_predictor: Callable[[], Predictor],
    seed: int,
) -> CurvePoint:
    """Each fold predicted from so many of the others' rows."""
    generator, points = np.random.default_rng(seed), []
    for fold in folds:
        predicted = np.empty(len(targets))
        for k in range(NUM_FOLDS):
            out, kept = np.flatnonzero(fold == k), generator.permutation(np.flatnonzero(fold != k))[:num_rows]
            predictor = make_predictor().fit(table.at(kept), targets[kept])
            predicted[out] = predictor.predict(table.at(out))
        points.append(_errors(predicted, targets))
    return CurvePoint(num_rows, *(_mean([point[name] for point in points]) for name in ("kendall", "mape")))


def _cross_validate(
    table: Rows, targets: Array, fold: Any, make_predictor: Callable[[], Predictor]
) -> dict[str, float]:
    predicted, low, high = np.empty((3, len(targets)))
    for k in range(NUM_FOLDS):
        out = np.flatnonzero(fold == k)
        kept = np.flatnonzero(fold != k)
        predictor = make_predictor().fit(table.at(kept), targets[kept])
        held_out = table.at(out)
        predicted[out] = predictor.predict(held_out)
        low[out], high[out] = predictor.predict_interval(held_out, coverage=0.9)
    width = float(np.mean(high - low))
    return {
        **_errors(predicted, targets),
        "top_5_regret": _regret(predicted, targets, predictor.larger_is_better),
        "coverage": float(np.mean((low <= targets) & (targets <= high))) if np.isfinite(width) else np.nan,
        "width": width,
    }


def _errors(predicted: Array, targets: Array) -> dict[str, float]:
    errors, told_apart = np.abs(predicted - targets), np.ptp(predicted) > 0
    return {
        "kendall": float(kendalltau(predicted, targets).statistic) if told_apart else 0.0,
        "spearman": float(spearmanr(predicted, targets).statistic) if told_apart else 0.0,
        "mape": float(np.mean(errors / np.abs(targets))) if np.all(targets) else np.nan,
        "within_10_percent": float(np.mean(errors <= 0.1 * np.abs(targets))),
    }


def _regret(predicted: Array, targets: Array, larger_is_better: bool) -> float:
    sign = 1.0 if larger_is_better else -1.0
    chosen = np.argsort(-sign * predicted, kind="stable")[:CHOSEN]
    best = sign * np.max(sign * targets)
    return float((np.max(sign * targets) - np.max(sign * targets[chosen])) / abs(best)) if best else np.nan


def _mean(values: list[float]) -> float | None:
    mean = float(np.mean(values))
    return mean if np.isfinite(mean) else None


def _verdict(kendall: float | None, coverage: float | None) -> tuple[bool, str]:
    if kendall is None or round(kendall, 2) < MIN_KENDALL:
        return False, f"Kendall's tau of {kendall:.2f} on held-out rows is below {MIN_KENDALL}"
    if coverage is not None and coverage < MIN_COVERAGE:
        return False, f"intervals that promise 90% hold only {coverage:.0%} of held-out rows"
    return True, f"Kendall's tau of {kendall:.2f} on held-out rows is at least {MIN_KENDALL}"


def _unknown(num_rows: int, reason: str) -> ReportCard:
    return ReportCard(
        num_rows, None, None, None, None, None, None, None, learning_curve=(), trustworthy=False, reason=reason
    )

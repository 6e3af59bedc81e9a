"""The report card measures held-out rows, and says when there is nothing to measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from predictors import AccuracyPredictor, LatencyPredictor, report_card
from predictors.conformal import split
from predictors.rows import measured
from search_space import UserError

MEASURES = ("kendall", "spearman", "mape", "within_10_percent", "top_5_regret", "coverage", "width")


def ridge() -> LatencyPredictor:
    return LatencyPredictor(kind="ridge")


def test_measures_are_those_of_rows_held_out(draw_rows: Callable[..., Any], cost_of: Callable[..., Any]) -> None:
    table, targets, keys = measured(draw_rows(60, 0), cost_of(draw_rows(60, 0)))
    card = report_card(table, targets, ridge, seed=4)
    predicted, ends = np.empty(60), np.empty((2, 60))
    fold = split(keys, 5, 4)
    for k in range(5):
        out = np.flatnonzero(fold == k)
        predictor = ridge().fit([table[i] for i in np.flatnonzero(fold != k)], targets[fold != k])
        predicted[out] = predictor.predict([table[i] for i in out])
        ends[:, out] = predictor.predict_interval([table[i] for i in out])
    assert card.kendall == pytest.approx(kendalltau(predicted, targets).statistic)
    assert card.spearman == pytest.approx(spearmanr(predicted, targets).statistic)
    assert card.mape == pytest.approx(np.mean(np.abs(predicted / targets - 1)))
    assert card.within_10_percent == pytest.approx(np.mean(np.abs(predicted / targets - 1) <= 0.1))
    assert card.coverage == pytest.approx(np.mean((ends[0] <= targets) & (targets <= ends[1])))
    assert card.width == pytest.approx(np.mean(ends[1] - ends[0]))
    chosen = targets[np.argsort(predicted, kind="stable")[:5]]
    assert card.top_5_regret == pytest.approx(chosen.min() / targets.min() - 1)
    assert [point.rows for point in card.learning_curve] == [12, 24, 48]
    assert card.learning_curve[-1].mape == card.mape


def test_regret_looks_for_what_is_better(draw_rows: Callable[..., Any], cost_of: Callable[..., Any]) -> None:
    """With predictions that say nothing, five of forty rows are far from the best: upwards or downwards."""
    rows = draw_rows(40, 6)
    generator = np.random.default_rng(1)
    targets = 1 + generator.random(40)
    targets[7], targets[9] = 10.0, 0.1
    low, high = (report_card(rows, targets, make).top_5_regret for make in (LatencyPredictor, AccuracyPredictor))
    assert low is not None
    assert high is not None
    assert low == 0 or low > 5
    assert high == 0 or high > 0.5


def test_more_rows_help(draw_rows: Callable[..., Any], cost_of: Callable[..., Any]) -> None:
    rows = draw_rows(80, 7)
    curve = report_card(rows, cost_of(rows), ridge).learning_curve
    assert [point.rows for point in curve] == [16, 32, 64]
    errors = [point.mape for point in curve]
    assert all(error is not None for error in errors)
    assert errors[0] > errors[-1]  # type: ignore[operator]


def test_trust_follows_the_ranking(draw_rows: Callable[..., Any], cost_of: Callable[..., Any]) -> None:
    rows = draw_rows(50, 1)
    good = report_card(rows, cost_of(rows), ridge)
    assert good.trustworthy
    assert "at least 0.5" in good.reason
    noise = report_card(rows, np.random.default_rng(0).random(50) + 1, ridge)
    assert not noise.trustworthy
    assert "below 0.5" in noise.reason


def test_order_changes_nothing(draw_rows: Callable[..., Any], cost_of: Callable[..., Any]) -> None:
    rows = draw_rows(20, 2)
    targets = cost_of(rows)
    assert report_card(rows, targets, ridge) == report_card(rows[::-1], targets[::-1], ridge)


@pytest.mark.parametrize("number", [0, 1, 7])
def test_few_rows_are_said_not_raised(number: int, draw_rows: Callable[..., Any]) -> None:
    card = report_card(draw_rows(number, 3), np.arange(1.0, number + 1), ridge)
    assert card.rows == number
    assert not card.trustworthy
    assert "too few" in card.reason or "no rows" in card.reason
    assert all(card.as_dict()[name] is None for name in MEASURES)


def test_too_few_rows_for_intervals_leave_them_out(draw_rows: Callable[..., Any], cost_of: Callable[..., Any]) -> None:
    rows = draw_rows(9, 4)
    card = report_card(rows, cost_of(rows), AccuracyPredictor)
    assert card.kendall is not None
    assert card.coverage is None
    assert card.width is None


def test_a_constant_target_is_said(draw_rows: Callable[..., Any]) -> None:
    card = report_card(draw_rows(30, 5), [0.5] * 30, AccuracyPredictor)
    assert not card.trustworthy
    assert "every target is 0.5" in card.reason


def test_wrong_targets_raise(draw_rows: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match="nan"):
        report_card(draw_rows(10, 6), [float("nan")] * 10, AccuracyPredictor)

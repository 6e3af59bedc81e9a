"""What holds for every predictor, whatever the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from predictors import AccuracyPredictor, BoostingPredictor, ChoiceEncoder, LatencyPredictor, RidgePredictor
from predictors.boosting import BoostedTrees
from predictors.predictor import ROWS_AT_ONCE
from search_space import UserError

every = pytest.mark.parametrize(
    "predictor", [RidgePredictor(), BoostingPredictor(), LatencyPredictor(), AccuracyPredictor(kind="ridge")], ids=str
)
Floats = np.ndarray[Any, np.dtype[np.float64]]


@pytest.fixture(scope="module")
def table(draw_rows: Callable[..., Any], cost_of: Callable[..., Any]) -> tuple[list[dict[str, Any]], Floats]:
    rows = draw_rows(80, 7)
    return rows, cost_of(rows) * np.exp(np.random.default_rng(7).normal(0, 0.1, 80))


@pytest.mark.parametrize(
    "predictor",
    [
        pytest.param(BoostingPredictor(), marks=pytest.mark.thorough),
        LatencyPredictor(),
        AccuracyPredictor(kind="ridge"),
    ],
    ids=str,
)
def test_order_changes_nothing(predictor: Any, table: tuple[Any, Floats]) -> None:
    rows, measured = table
    order = np.random.default_rng(0).permutation(60)
    turned = [dict(reversed(rows[i].items())) for i in order]
    first = clone(predictor).fit(rows[:60], measured[:60])
    second = clone(predictor).fit(turned, measured[order])
    for a, b in zip(first.predict(rows[60:], return_std=True), second.predict(rows[60:], return_std=True), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)
    backwards = second.predict([dict(reversed(row.items())) for row in rows[60:]])
    np.testing.assert_allclose(first.predict(rows[60:]), backwards, rtol=1e-9)


@every
def test_intervals_nest_around_the_prediction(predictor: Any, table: tuple[Any, Floats]) -> None:
    rows, measured = table
    fitted = clone(predictor).fit(rows[:60], measured[:60])
    centre, std = fitted.predict(rows[60:], return_std=True)
    assert centre.shape == std.shape == (20,)
    assert np.all(std > 0)
    np.testing.assert_array_equal(fitted.predict(rows[60:]), centre)
    low, high = centre, centre
    for coverage in (0.02, 0.3, 0.6, 0.9, 0.98):
        wider = fitted.predict_interval(rows[60:], coverage=coverage)
        assert np.all(wider[0] <= low)
        assert np.all(high <= wider[1])
        low, high = wider
    assert np.all(np.isfinite(high - low))
    assert 0.2 < np.sqrt(np.mean((measured[60:] - centre) ** 2) / np.mean(std**2)) < 5


@every
def test_scikit_learn_conventions(predictor: Any, table: tuple[Any, Floats]) -> None:
    rows, measured = table
    parameters = predictor.get_params()
    assert clone(predictor).get_params() == parameters
    assert set(vars(predictor)) == set(parameters)
    fitted = clone(predictor)
    assert fitted.set_params(seed=3).fit(rows[:12], measured[:12]) is fitted
    assert fitted.get_params() == parameters | {"seed": 3}
    with pytest.raises(NotFittedError):
        clone(predictor).predict(rows)


@every
def test_rows_that_are_encoded_before_get_the_same_predictions(predictor: Any, table: tuple[Any, Floats]) -> None:
    rows, measured = table
    fitted = clone(predictor).fit(rows[:60], measured[:60])
    many = np.tile(fitted.encode(rows), (ROWS_AT_ONCE // 80 + 2, 1))
    expected, _ = fitted.predict(rows, return_std=True)
    for some in fitted.predict_encoded(many).reshape(-1, 80)[[0, -1]]:
        np.testing.assert_allclose(some, expected, rtol=1e-6)


def test_trees_are_read_as_they_read_themselves(table: tuple[Any, Floats]) -> None:
    rows, measured = table
    encoder = ChoiceEncoder().fit(rows)
    columns = encoder.transform(rows)
    trees = BoostedTrees(encoder.groups_, 0).fit(columns, measured)
    np.testing.assert_allclose(trees.mean(columns), trees.trees_.predict(columns[:, trees.columns]), rtol=1e-12)


@every
def test_few_rows_promise_nothing(predictor: Any, table: tuple[Any, Floats]) -> None:
    rows, measured = table
    for number, finite in ((2, False), (8, False), (9, True)):
        fitted = clone(predictor).fit(rows[:number], measured[:number])
        low, high = fitted.predict_interval(rows[60:])
        assert np.all(np.isfinite(high)) == finite
        assert not np.any(np.isnan(low))
        assert np.all(np.isfinite(fitted.predict(rows[60:], return_std=True)))


@every
def test_a_constant_is_predicted_with_certainty(predictor: Any, table: tuple[Any, Floats]) -> None:
    rows, _ = table
    fitted = clone(predictor).fit(rows[:60], np.full(60, 3.5))
    for end in (fitted.predict(rows[60:]), *fitted.predict_interval(rows[60:])):
        np.testing.assert_allclose(end, 3.5, rtol=1e-6)


@pytest.mark.parametrize("kind", ["auto", "ridge"])
def test_a_constant_added_to_accuracy_is_added_to_predictions(kind: str, table: tuple[Any, Floats]) -> None:
    rows, measured = table
    accuracy = 1 - measured / measured.max()
    first = AccuracyPredictor(kind).fit(rows[:60], accuracy[:60])
    second = AccuracyPredictor(kind).fit(rows[:60], accuracy[:60] + 0.25)
    np.testing.assert_allclose(second.predict(rows[60:]), first.predict(rows[60:]) + 0.25, rtol=1e-9)
    for a, b in zip(first.predict_interval(rows[60:]), second.predict_interval(rows[60:]), strict=True):
        np.testing.assert_allclose(b, a + 0.25, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["auto", "ridge"])
def test_another_unit_of_latency_only_changes_the_unit(kind: str, table: tuple[Any, Floats]) -> None:
    rows, measured = table
    first = LatencyPredictor(kind).fit(rows[:60], measured[:60])
    second = LatencyPredictor(kind).fit(rows[:60], measured[:60] * 1000)
    for a, b in zip(first.predict(rows[60:], return_std=True), second.predict(rows[60:], return_std=True), strict=True):
        np.testing.assert_allclose(b, a * 1000, rtol=1e-3)


def test_latency_stays_positive_and_in_order_far_below_the_rows() -> None:
    rows = [{"width": width} for width in range(50, 100)]
    predictor = LatencyPredictor("ridge").fit(rows, [row["width"] - 40.0 for row in rows])
    asked = predictor.predict([{"width": width} for width in range(10, 60, 2)])
    assert np.all(asked > 0)
    assert np.all(np.diff(asked) > 0)
    assert predictor.predict_interval([{"width": 10}])[0] > 0


def test_what_was_never_seen_is_less_certain(table: tuple[Any, Floats]) -> None:
    rows, measured = table
    known, unknown = {**rows[60]}, {**rows[60], "norm": "group", "stages.0.blocks.0.mixer": "shift"}
    _, std = LatencyPredictor("ridge").fit(rows[:60], measured[:60]).predict([known, unknown], return_std=True)
    assert std[1] > 1.2 * std[0]


def test_copies_of_an_architecture_do_not_make_intervals_narrow(table: tuple[Any, Floats]) -> None:
    """Ten architectures measured six times each teach nothing about others that ten do not."""
    rows, measured = table
    low, high = LatencyPredictor("ridge").fit(rows[:10], measured[:10]).predict_interval(rows[60:], 0.8)
    copies = LatencyPredictor("ridge").fit(rows[:10] * 6, np.tile(measured[:10], 6))
    copied_low, copied_high = copies.predict_interval(rows[60:], 0.8)
    assert np.mean(np.log(copied_high / copied_low)) > 0.5 * np.mean(np.log(high / low))


@every
@pytest.mark.parametrize(
    ("rows", "targets", "says"),
    [
        ([], [], "no rows"),
        ([{"width": 8}, {"width": 9}], [1.0], r"2 rows came with targets of shape \(1,\)"),
        ([{"width": 8}, {"width": 9}], [1.0, float("nan")], "target of row 1 is nan"),
        ([{"width": 8}, {"width": 9}], [float("inf"), 1.0], "target of row 0 is inf"),
        ([{"width": 8}, {"width": 9}], [1.0, -1e300], r"target of row 1 is -1e\+300"),
        ([{"width": 8}, {"width": 9}], [None, 1.0], "target of row 0 is nan"),
        ([{"width": 8}, {"width": 9}], ["fast", "slow"], "must be numbers"),
        ([{"width": 8}, {"width": 8}], [1.0, 2.0], "all 2 rows make the same choices"),
    ],
)
def test_what_cannot_be_learned_from(predictor: Any, rows: Any, targets: Any, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        clone(predictor).fit(rows, targets)
    assert "\n" not in str(caught.value)


def test_parameters_that_cannot_be_meant(table: tuple[Any, Floats]) -> None:
    rows, measured = table
    with pytest.raises(UserError, match=r"kind='forest' is not one of \(auto, ridge, boosting\)"):
        LatencyPredictor(kind="forest").fit(rows, measured)
    with pytest.raises(UserError, match="a latency of 0 was given"):
        LatencyPredictor().fit(rows, measured - measured.min())
    for seed in (-1, "x"):
        with pytest.raises(UserError, match=r"seed=.* must be a whole number, 0 or more"):
            LatencyPredictor(seed=seed).fit(rows, measured)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"coverage=90 must lie between 0 and 1"):
        LatencyPredictor("ridge").fit(rows[:9], measured[:9]).predict_interval(rows, coverage=90)


def test_the_probability_of_a_limit_is_how_often_it_holds(
    draw_rows: Callable[..., Any], cost_of: Callable[..., Any]
) -> None:
    rows = draw_rows(900, 3)
    measured = cost_of(rows) * np.exp(np.random.default_rng(3).normal(0, 0.1, 900))
    predictor, limit = LatencyPredictor().fit(rows[:100], measured[:100]), float(np.median(measured))
    within, held = predictor.predict_within(rows[100:], limit), measured[100:] <= limit
    for low, high in ((0, 0.3), (0.3, 0.7), (0.7, 1)):
        some = (within >= low) & (within <= high)
        assert np.sum(some) > 50
        assert np.mean(held[some]) == pytest.approx(np.mean(within[some]), abs=0.12)
    assert np.all(predictor.predict_within(rows, 2 * limit) >= predictor.predict_within(rows, limit))
    for wrong in (0, "5", np.full(3, 5.0)):
        with pytest.raises(UserError, match=r"(?s)limit=.* must be a number above 0"):
            predictor.predict_within(rows, wrong)  # type: ignore[arg-type]

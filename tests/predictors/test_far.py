"""Rows far from the data are said to be far; rows like those of the fit are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from predictors import AccuracyPredictor, LatencyPredictor
from predictors.latency import AdditiveLatency


@pytest.mark.parametrize("make", [LatencyPredictor, AccuracyPredictor])
def test_wider_than_anything_measured_is_far(
    make: Callable[..., Any], draw_rows: Callable[..., Any], cost_of: Callable[..., Any]
) -> None:
    rows = draw_rows(60, 0)
    fitted = make().fit(rows, cost_of(rows))
    new = draw_rows(300, 1)
    assert np.mean(fitted.far_from_data(new)) < 0.02
    wide = [{name: 20 * value if name.endswith("width") else value for name, value in row.items()} for row in new]
    assert np.mean(fitted.far_from_data(wide)) > 0.95


def test_mixers_never_measured_are_far(draw_rows: Callable[..., Any], cost_of: Callable[..., Any]) -> None:
    rows = draw_rows(60, 2)
    fitted = LatencyPredictor().fit(rows, cost_of(rows))
    new = [{n: "spiking" if n.endswith("mixer") else v for n, v in row.items()} for row in draw_rows(50, 3)]
    assert np.mean(fitted.far_from_data(new)) > 0.9


def test_a_name_that_is_new_or_missing_is_far(draw_rows: Callable[..., Any], cost_of: Callable[..., Any]) -> None:
    rows = draw_rows(60, 2)
    fitted = LatencyPredictor().fit(rows, cost_of(rows))
    always = next(name for name in rows[0] if all(name in row for row in rows))
    misspelt = [{name + "s" if name == always else name: value for name, value in row.items()} for row in rows]
    lacking = [{name: value for name, value in row.items() if name != always} for row in rows]
    assert not np.any(fitted.far_from_data(rows))
    assert np.all(fitted.far_from_data(misspelt)) and np.all(fitted.far_from_data(lacking))


def test_a_fit_uses_one_thread_on_few_rows_and_gives_the_others_back(
    draw_rows: Callable[..., Any], cost_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def threads() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info()]

    seen: list[int] = []

    def watched(ridge: AdditiveLatency, columns: Any, targets: Any) -> AdditiveLatency:
        seen.extend(threads())
        return fit(ridge, columns, targets)

    fit = AdditiveLatency.fit
    monkeypatch.setattr(AdditiveLatency, "fit", watched)
    before, rows = threads(), draw_rows(20, 4)
    fitted = LatencyPredictor().fit(rows, cost_of(rows))
    assert len(seen) == len(before)
    fitted.predict_interval(rows)
    assert len(seen) == 21 * len(before)  # one without each of 20 folds, not before they are needed
    assert set(seen) == {1}
    assert threads() == before

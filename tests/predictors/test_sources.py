"""Measurements of other devices help with a new one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau

from predictors import AccuracyPredictor, LatencyPredictor
from search_space import UserError


def test_other_devices_make_ten_rows_do(measured: Callable[..., Any]) -> None:
    rows, targets = measured("fbnet", "pixel3_ms")
    others = ("samsung_a50_ms", "silver_4210r_ms", "1080ti_64_ms")
    sources = [(name, rows[3000:3300], measured("fbnet", name)[1][3000:3300]) for name in others]
    alone: list[float] = []
    helped: list[float] = []
    for start in range(0, 40, 10):
        part = slice(start, start + 10)
        for tau, given in ((alone, None), (helped, sources)):
            predictor = LatencyPredictor().fit(rows[part], targets[part], sources=given)
            tau.append(kendalltau(predictor.predict(rows[1000:2000]), targets[1000:2000]).statistic)
    assert np.mean(helped) > 0.7
    assert np.mean(helped) - np.mean(alone) > 0.2


@pytest.mark.parametrize("make", [LatencyPredictor, AccuracyPredictor])
def test_a_source_of_the_same_task_says_all(
    make: Callable[..., Any], draw_rows: Callable[..., Any], cost_of: Callable[..., Any]
) -> None:
    rows = draw_rows(300, 8)
    targets = cost_of(rows)
    sources = [("the same", rows[50:], 2 * targets[50:]), ("its square", rows[50:], targets[50:] ** 2)]
    helped = make().fit(rows[:10], targets[:10], sources=sources)
    assert kendalltau(helped.predict(rows[50:]), targets[50:]).statistic > 0.9
    turned = make().fit(rows[:10], targets[:10], sources=sources[::-1])
    np.testing.assert_allclose(turned.predict(rows[50:]), helped.predict(rows[50:]))


def test_a_wrong_source_is_named(draw_rows: Callable[..., Any], cost_of: Callable[..., Any]) -> None:
    rows = draw_rows(10, 9)
    with pytest.raises(UserError, match="source 'phone': a latency of -1 was given"):
        LatencyPredictor().fit(rows, cost_of(rows), sources=[("phone", rows[:2], [1.0, -1.0])])
    with pytest.raises(UserError, match="source 'phone': the rows have no name in common"):
        LatencyPredictor().fit(rows, cost_of(rows), sources=[("phone", [{"a": 1}, {"a": 2}], [1.0, 2.0])])


@pytest.mark.parametrize("sources", [{"phone": 1}, [([{"a": 1}], [1.0])], ("phone", [{"a": 1}], [1.0]), [(1, 2, 3)]])
def test_what_is_no_list_of_sources_is_refused(
    sources: Any, draw_rows: Callable[..., Any], cost_of: Callable[..., Any]
) -> None:
    rows = draw_rows(10, 9)
    with pytest.raises(UserError, match=r"source 0 .* must be \(name, rows, y\); give a list of these"):
        LatencyPredictor().fit(rows, cost_of(rows), sources=sources)

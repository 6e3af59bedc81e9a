"""On measured latencies and accuracies: ranks above floors, intervals as wide as they must be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau

from predictors import AccuracyPredictor, LatencyPredictor


@pytest.mark.parametrize(
    ("make", "kind", "table", "column", "floor"),
    [
        (LatencyPredictor, "ridge", "nb201", "2080ti_256_ms", 0.96),
        (LatencyPredictor, "ridge", "nb201", "silver_4210r_ms", 0.92),
        pytest.param(LatencyPredictor, "boosting", "nb201", "silver_4210r_ms", 0.85, marks=pytest.mark.thorough),
        (LatencyPredictor, "ridge", "fbnet", "gold_6240_ms", 0.60),
        (LatencyPredictor, "auto", "hat", "cpu_xeon", 0.84),
        (AccuracyPredictor, "auto", "nb201", "c10_val_acc_ep200", 0.66),
    ],
)
def test_a_hundred_rows(
    make: Callable[..., Any], kind: str, table: str, column: str, floor: float, measured: Callable[..., Any]
) -> None:
    rows, targets = measured(table, column)
    taus, covered = [], []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(rows))
        known, new = order[:100], order[-600:]
        predictor = make(kind=kind).fit([rows[i] for i in known], targets[known])
        asked = [rows[i] for i in new]
        taus.append(kendalltau(predictor.predict(asked), targets[new]).statistic)
        low, high = predictor.predict_interval(asked)
        covered.append(np.mean((low <= targets[new]) & (targets[new] <= high)))
    assert np.mean(taus) > floor
    assert 0.85 < np.mean(covered) < 0.97

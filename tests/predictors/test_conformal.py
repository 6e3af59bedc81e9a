"""CV+ intervals: the definition, the promise, and folds that keep copies together."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors import AccuracyPredictor, LatencyPredictor
from predictors.conformal import cv_plus, split
from predictors.crossfit import TRUST_IN_FIRST, best_share


@given(st.integers(1, 60), st.sampled_from([0.5, 0.8, 0.9, 0.95]), st.integers(0, 100))
def test_ends_are_the_order_statistics_of_the_paper(n: int, coverage: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    centre, reach = generator.normal(size=(3, n)), generator.exponential(size=(3, n))
    low, high = cv_plus(centre, reach, coverage)
    rank = math.ceil(coverage * (n + 1) - 1e-9)
    for point in range(3):
        above = sorted(centre[point] + reach[point])
        below = sorted(centre[point] - reach[point], reverse=True)
        assert high[point] == (above[rank - 1] if rank <= n else math.inf)
        assert low[point] == (below[rank - 1] if rank <= n else -math.inf)


@given(st.lists(st.sampled_from("abcdefghij"), min_size=2, max_size=40), st.integers(2, 10), st.integers(0, 9))
def test_folds_are_even_and_keep_copies_together(keys: list[str], most: int, seed: int) -> None:
    fold = split(keys, most, seed)
    assert all(len({fold[i] for i, key in enumerate(keys) if key == one}) == 1 for one in keys)
    distinct = [len({key for key, f in zip(keys, fold, strict=True) if f == k}) for k in range(fold.max() + 1)]
    assert len(distinct) == min(most, len(set(keys)))
    assert max(distinct) - min(distinct) <= 1


@pytest.mark.parametrize("make", [pytest.param(LatencyPredictor, marks=pytest.mark.thorough), AccuracyPredictor])
def test_error_bars_hold_what_they_promise(
    make: Callable[..., Any], draw_rows: Callable[..., Any], cost_of: Callable[..., Any]
) -> None:
    """Over fresh draws of rows and noise, 90% intervals hold 90% of new measurements, and not much more; the squared
    error is that of the standard deviation."""
    covered, ratios = [], []
    for seed in range(30):
        rows = draw_rows(60, 100 + seed)
        measured = cost_of(rows) * np.exp(np.random.default_rng(seed).normal(0, 0.1, 60))
        predictor = make(kind="ridge").fit(rows[:30], measured[:30])
        low, high = predictor.predict_interval(rows[30:])
        mean, std = predictor.predict(rows[30:], return_std=True)
        ratios.append(np.mean((measured[30:] - mean) ** 2) / np.mean(std**2))
        covered.append(np.mean((low <= measured[30:]) & (measured[30:] <= high)))
    error = np.std(covered) / np.sqrt(len(covered))
    assert 0.9 - 3 * error < np.mean(covered) < 0.96
    assert 0.6 < np.median(ratios) < 1.4


def test_the_blend_is_the_best_on_held_out_rows() -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(size=50)
    first, second = scores + generator.normal(0, 0.5, 50), scores + generator.normal(0, 0.5, 50)
    penalty = TRUST_IN_FIRST * np.mean((scores - first) ** 2)
    shares = np.linspace(0, 1, 1001)
    losses = [np.sum((scores - s * first - (1 - s) * second) ** 2) + penalty * (1 - s) ** 2 for s in shares]
    assert best_share(scores, first, second) == pytest.approx(shares[np.argmin(losses)], abs=1e-3)
    assert 0.4 < best_share(scores, first, second) < 0.8
    assert best_share(scores, first, generator.normal(0, 9, 50)) > 0.95
    assert best_share(scores, scores, scores) == 1.0

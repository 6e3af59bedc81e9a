"""Beliefs turn metrics of any direction into losses, and limits on any side into chances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from search.beliefs import Beliefs
from search.problem import Constraint, Objective, Problem
from search.scale import Compressed
from search.surrogate import Ridge
from search_space import PopulationSpace, SearchSpace

ROWS = 60


def beliefs_of(space: SearchSpace, constraints: tuple[Constraint, ...]) -> tuple[Beliefs, Any, list[dict[str, Any]]]:
    """Of a quality that grows with the number of decisions and numbers made, and a cost that does, too."""
    population = PopulationSpace(space)
    table = population.matrix(population.sample(ROWS, np.random.default_rng(0)))
    sums = [sum(v for v in table.choices(i).values() if not isinstance(v, str)) for i in range(ROWS)]
    rows: list[dict[str, Any]] = [{"accuracy": float(s) / 100 - 2, "latency_ms": float(s)} for s in sums]
    problem = Problem(space, (Objective("accuracy", True), Objective("latency_ms", False)), constraints)
    return Beliefs(problem, table, rows, 20, Ridge), table, rows


@pytest.mark.parametrize(
    ("metric", "bounds"),
    [
        ("latency_ms", {"upper": 60.0}),
        ("latency_ms", {"lower": 60.0}),
        ("latency_ms", {"lower": 50.0, "upper": 70.0}),
        ("accuracy", {"upper": -1.4}),
        ("accuracy", {"lower": -1.4}),
        ("accuracy", {"lower": -1.5, "upper": -1.3}),
    ],
)
def test_chances_and_violations_follow_the_limits(
    conditional: SearchSpace, metric: str, bounds: dict[str, float]
) -> None:
    constraint = Constraint(metric, **bounds)
    beliefs, table, rows = beliefs_of(conditional, (constraint,))
    keeps = np.array([constraint.violation(row) <= 0 for row in rows])
    assert 5 < keeps.sum() < ROWS - 5
    clear = np.array([abs(constraint.violation(row)) > 0.05 for row in rows])
    _, _, chance = beliefs.spread(table)
    _, violations = beliefs.means(table)
    assert (chance[keeps & clear] > 0.5).all() and (chance[~keeps & clear] < 0.5).all()
    assert (violations[keeps & clear] == 0).all() and (violations[~keeps & clear] > 0).all()


def test_only_what_satisfies_the_limits_was_achieved(conditional: SearchSpace) -> None:
    constraint = Constraint("latency_ms", upper=60.0)
    beliefs, _, rows = beliefs_of(conditional, (constraint,))
    assert sorted(beliefs.achieved[:, 1]) == sorted(row["latency_ms"] for row in rows if row["latency_ms"] <= 60)
    unlimited, _, _ = beliefs_of(conditional, ())
    assert len(unlimited.achieved) == ROWS


def test_less_is_better_on_every_scale(conditional: SearchSpace) -> None:
    beliefs, table, rows = beliefs_of(conditional, ())
    losses, violations = beliefs.means(table)
    accuracy = np.array([row["accuracy"] for row in rows])
    assert np.corrcoef(losses[:, 0], -accuracy)[0, 1] > 0.9
    assert losses[:, 1] == pytest.approx([row["latency_ms"] for row in rows], rel=0.05)
    assert not violations.any()
    assert (beliefs.reference >= [losses[:, 0].min(), max(row["latency_ms"] for row in rows)]).all()


def test_first_rows_that_are_alike_do_not_make_all_later_ones_so() -> None:
    """Of ten good architectures and as many that are worse, most of these still differ from each other."""
    good, worse = np.linspace(10.0, 14.0, 10), np.linspace(15.0, 60.0, 10)
    scale = Compressed.fit(np.concatenate([good, worse]), 10)
    assert len(np.unique(scale.forward(worse))) >= 6
    assert (np.diff(scale.forward(np.concatenate([good, worse]))) >= 0).all()
    alike = Compressed.fit(good, 10)
    assert alike.worst < scale.worst

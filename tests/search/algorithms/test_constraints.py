"""Constraints reach the algorithms: what they propose respects a bound that their objective pulls them across."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from search.problem import Constraint, Objective, Problem
from search_space import Architecture, SearchSpace
from tests.search.conftest import small

Metrics = Callable[[Architecture], dict[str, Any]]

CONSTRAINED = ["guided", "nsga2", "evolution", "local_search", pytest.param("tpe", marks=pytest.mark.thorough)]


@pytest.fixture
def half(conditional: SearchSpace, metrics: Metrics) -> Constraint:
    """Satisfied by half of the architectures drawn at random."""
    generator = np.random.default_rng(0)
    params = [metrics(conditional.sample(generator))["params"] for _ in range(300)]
    return Constraint("params", upper=float(np.median(params)))


@pytest.fixture
def satisfied(
    conditional: SearchSpace, metrics: Metrics, half: Constraint
) -> Callable[[str, list[str], tuple[Constraint, ...]], float]:
    """The share of an algorithm's last 30 of 70 proposals that satisfy `half`, whether or not it knows of it."""

    def share(name: str, objectives: list[str], constraints: tuple[Constraint, ...]) -> float:
        problem = Problem(conditional, tuple(map(Objective.parse, objectives)), constraints)
        algorithm = small(name, problem, 0)
        rows = []
        for _ in range(70):
            architecture = algorithm.ask()
            rows.append(metrics(architecture))
            algorithm.tell(architecture, rows[-1])
        return float(np.mean([half.violation(row) <= 0 for row in rows[40:]]))

    return share


@pytest.mark.parametrize("name", CONSTRAINED)
def test_a_constraint_that_half_the_space_violates_is_satisfied_far_more_often_than_at_random(
    name: str, satisfied: Callable[..., float], half: Constraint
) -> None:
    both = ["accuracy", "latency_ms"]
    assert satisfied(name, both, (half,)) > 0.1 + max(satisfied("random", both, (half,)), satisfied(name, both, ()))


@pytest.mark.parametrize("name", CONSTRAINED)
def test_a_constraint_holds_against_the_objective(name: str, satisfied: Callable[..., float], half: Constraint) -> None:
    assert satisfied(name, ["accuracy"], (half,)) > 0.3 + satisfied(name, ["accuracy"], ())

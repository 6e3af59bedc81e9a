"""What counting decides is never evaluated, and a space without anything feasible is refused with the nearest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from search.algorithms.algorithm import Algorithm, SpaceExhausted
from search.descent import descent, refuse_infeasible
from search.problem import Constraint, Problem
from search_space import Architecture, SearchSpace, UserError
from tests.search.conftest import EVERY, small

Metrics = Callable[[Architecture], dict[str, Any]]


@pytest.fixture
def limited(conditional: SearchSpace, metrics: Metrics) -> Callable[[float], Problem]:
    """With a bound on parameters that this share of the space keeps."""

    def make(share: float) -> Problem:
        generator = np.random.default_rng(0)
        params = [metrics(conditional.sample(generator))["params"] for _ in range(1000)]
        bound = f"params <= {float(np.quantile(params, share))}"
        counts = {"params": lambda architecture: metrics(architecture)["params"]}
        return Problem.parse(conditional, ["accuracy", "latency_ms"], [bound], counts)

    return make


@pytest.mark.parametrize("name", EVERY)
def test_no_algorithm_asks_for_what_is_known_to_be_infeasible(
    name: str, limited: Callable[[float], Problem], metrics: Metrics
) -> None:
    problem = limited(0.02)
    algorithm = small(name, problem, 0)
    for _ in range(20):
        architecture = algorithm.ask()
        assert problem.excess(architecture) == 0
        algorithm.tell(architecture, metrics(architecture))


def test_a_replay_asks_the_same(limited: Callable[[float], Problem], metrics: Metrics) -> None:
    def told(algorithm: Algorithm, number: int) -> list[Architecture]:
        asked = []
        for _ in range(number):
            asked.append(algorithm.ask())
            algorithm.tell(asked[-1], metrics(asked[-1]))
        return asked

    problem = limited(0.02)
    straight = told(small("guided", problem, 0), 24)
    resumed = small("guided", problem, 0)
    for architecture in straight[:16]:
        resumed.tell(architecture, metrics(architecture))
    assert told(resumed, 8) == straight[16:]


def test_the_way_leads_to_the_limit_from_anywhere(limited: Callable[[float], Problem]) -> None:
    problem = limited(0.001)
    largest = [problem.space.largest()]
    excesses = [problem.excess(a) for a in descent(problem, largest, np.random.default_rng(0))]
    assert excesses == sorted(excesses, reverse=True)
    assert excesses[-1] == 0


def test_a_limit_that_nothing_keeps_is_refused_with_the_nearest(conditional: SearchSpace) -> None:
    def size(architecture: Architecture) -> int:
        return sum(stage.width for stage in architecture.stages)

    smallest = size(conditional.smallest())
    refuse_infeasible(Problem.parse(conditional, ["accuracy"], [f"params <= {smallest}"], {"params": size}), 0)
    problem = Problem.parse(conditional, ["accuracy"], [f"params <= {smallest - 1}"], {"params": size})
    expected = rf"no architecture was found with params <= {smallest - 1}, and the nearest, \w+, has {smallest};"
    with pytest.raises(UserError, match=expected):
        refuse_infeasible(problem, 0)
    with pytest.raises(SpaceExhausted):
        small("random", problem, 0).ask()


def test_what_is_measured_is_not_counted(conditional: SearchSpace) -> None:
    problem = Problem(conditional, (), (Constraint("latency_ms", upper=0.0),), {"params": lambda _: 1.0})
    assert problem.excess(conditional.largest()) == 0
    assert problem.counted(conditional.largest()) == {}

"""What every search algorithm promises, over spaces of one, a dozen, many conditional and 10^30 architectures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from search.algorithms.algorithm import Algorithm, SpaceExhausted, replay
from search.algorithms.registry import make_algorithm
from search.problem import Problem
from search_space import Architecture, Component, SearchSpace, UserError
from tests.search.conftest import EVERY, small

Metrics = Callable[[Architecture], dict[str, Any]]
Make = Callable[..., Algorithm]


@pytest.fixture(params=EVERY)
def make(request: pytest.FixtureRequest) -> Make:
    def make(space: SearchSpace, seed: int = 0) -> Algorithm:
        problem = Problem.parse(space, ["accuracy", "latency_ms"], ["params <= 1000"])
        return small(request.param, problem, seed)

    return make


def a_row(generator: np.random.Generator) -> dict[str, Any]:
    """Random metrics, of which one in five is missing in some way."""
    row: dict[str, Any] = {
        "accuracy": generator.random(),
        "latency_ms": 10 * generator.random(),
        "params": int(generator.integers(2000)),
    }
    if generator.random() < 0.2:
        gaps: list[dict[str, Any]] = [{"accuracy": None}, {"latency_ms": math.nan}, {"params": math.inf}]
        row |= gaps[generator.integers(3)]
    return row


def propose(algorithm: Algorithm, count: int, metrics: Metrics) -> list[dict[str, Any]]:
    """Rows of the next proposals, each told before the next is asked. Every seventh fails."""
    rows = []
    for trial in range(count):
        architecture = algorithm.ask()
        row = {"trial": trial, "architecture": architecture.to_json(), **metrics(architecture)}
        if int(architecture.id, 16) % 7 == 0:
            row |= {"accuracy": None, "error": "it fails"}
        algorithm.tell(architecture, row)
        rows.append(row)
    return rows


def test_the_size_of_the_huge_space_is_as_promised(space: SearchSpace) -> None:
    assert space.size in (1, 12) or 10**9 < space.size < 10**12 or space.size > 10**30


def test_every_proposal_is_new_and_in_the_space_whatever_is_told(make: Make, space: SearchSpace) -> None:
    generator = np.random.default_rng(1)
    algorithm = make(space)
    seen: set[str] = set()
    for _ in range(min(30, space.size)):
        architecture = algorithm.ask()
        assert architecture in space
        assert architecture.id not in seen
        seen.add(architecture.id)
        algorithm.tell(architecture, a_row(generator))


def test_asks_in_flight_are_distinct_and_answered_in_any_order(make: Make, space: SearchSpace) -> None:
    generator = np.random.default_rng(2)
    algorithm = make(space)
    seen: set[str] = set()
    for _ in range(min(5, math.ceil(space.size / 6))):
        batch = [algorithm.ask() for _ in range(min(6, space.size))]
        assert len({a.id for a in batch} - seen) == len(batch)
        seen |= {a.id for a in batch}
        for i in generator.permutation(len(batch)):
            algorithm.tell(batch[i], a_row(generator))


@pytest.mark.parametrize("space", ["one", "tiny"], indirect=True)
@pytest.mark.parametrize("told", [True, False])
def test_a_small_space_is_proposed_whole_and_then_is_exhausted(make: Make, space: SearchSpace, told: bool) -> None:
    generator = np.random.default_rng(3)
    algorithm = make(space)
    seen = set()
    for _ in range(space.size):
        architecture = algorithm.ask()
        seen.add(architecture)
        if told:
            algorithm.tell(architecture, a_row(generator))
    assert seen == set(space.enumerate())
    for _ in range(2):
        with pytest.raises(SpaceExhausted, match=f"all {space.size} architectures"):
            algorithm.ask()


def test_a_proposal_depends_on_the_seed(make: Make, conditional: SearchSpace) -> None:
    first = [make(conditional, seed).ask().id for seed in (1, 1, 2)]
    assert first[0] == first[1] != first[2]


@pytest.mark.parametrize("num_told", [0, 5, 26, 48])
def test_a_replayed_algorithm_goes_on_as_if_never_interrupted(
    make: Make, conditional: SearchSpace, metrics: Metrics, num_told: int
) -> None:
    uninterrupted = propose(make(conditional), num_told + 5, metrics)
    resumed = make(conditional)
    replay(resumed, reversed(uninterrupted[:num_told]))
    goes_on = propose(resumed, 5, metrics)
    assert [row["architecture"] for row in goes_on] == [row["architecture"] for row in uninterrupted[num_told:]]


def test_rows_of_another_algorithm_are_learned_and_not_proposed_again(
    make: Make, conditional: SearchSpace, metrics: Metrics
) -> None:
    problem = Problem.parse(conditional, ["accuracy"])
    others = propose(make_algorithm("random", problem, 9), 45, metrics)
    algorithm = make(conditional)
    replay(algorithm, others)
    known = {row["architecture"] for row in others}
    assert known.isdisjoint(row["architecture"] for row in propose(algorithm, 10, metrics))


def test_the_first_row_of_an_architecture_stands(make: Make, conditional: SearchSpace, metrics: Metrics) -> None:
    once, twice = make(conditional), make(conditional)
    for algorithm in (once, twice):
        rows = propose(algorithm, 25, metrics)
    for row in rows:
        twice.tell(Architecture.from_json(row["architecture"]), {"accuracy": 0.0, "latency_ms": 1.0, "params": 1})
    assert once.ask() == twice.ask()


def test_an_architecture_outside_the_space_is_refused(make: Make, conditional: SearchSpace) -> None:
    with pytest.raises(UserError, match="stages"):
        make(conditional).tell(Architecture(Component("patch"), ()), {"accuracy": 1.0})


def test_an_unknown_name_is_refused_with_the_names(conditional: SearchSpace) -> None:
    with pytest.raises(UserError, match="'annealing' is unknown; choose among guided, nsga2"):
        make_algorithm("annealing", Problem.parse(conditional, ["accuracy"]), 0)

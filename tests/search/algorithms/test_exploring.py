"""Exploring: the spread first, then where the predictor is unsure; after an interruption as without one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.algorithms.algorithm import replay
from search.algorithms.exploring import POOL, REFIT_EVERY, Choices, Exploring, Unsure
from search.problem import Problem, Row
from search_space import Architecture, SearchSpace

Metrics = Callable[[Architecture], dict[str, Any]]


def unsure_of_the_wide(choices: Sequence[Choices], rows: Sequence[Row]) -> Unsure:
    """Of architectures by the width of their first stage: the fit plays no part."""

    def unsure(candidates: Sequence[Choices]) -> NDArray[np.float64]:
        return np.array([float(each["stages.0.width"]) for each in candidates])

    return unsure


def explored(
    space: SearchSpace, metrics: Metrics, spread: Sequence[Architecture], rows: Sequence[Row], number: int
) -> list[Architecture]:
    """Ask and tell one by one, after the rows of an earlier call."""
    algorithm = Exploring(Problem.parse(space, ["latency_ms"]), 3, spread, unsure_of_the_wide)
    replay(algorithm, rows)
    found = []
    for _ in range(number):
        architecture = algorithm.ask()
        algorithm.tell(architecture, metrics(architecture))
        found.append(architecture)
    return found


def spread_over(space: SearchSpace, number: int) -> list[Architecture]:
    generator = np.random.default_rng(0)
    return list({a.id: a for a in (space.sample(generator) for _ in range(10 * number))}.values())[:number]


def test_begins_with_the_spread_and_goes_on_where_it_is_unsure(conditional: SearchSpace, metrics: Metrics) -> None:
    spread = spread_over(conditional, REFIT_EVERY)
    found = explored(conditional, metrics, spread, [], 2 * REFIT_EVERY)
    assert found[:REFIT_EVERY] == spread
    widest = max(a.stages[0].width for a in spread_over(conditional, POOL))
    assert all(a.stages[0].width == widest for a in found[REFIT_EVERY:])
    assert len({a.id for a in found}) == len(found)


def test_without_measured_rows_it_draws(conditional: SearchSpace) -> None:
    found = explored(conditional, lambda _: {"latency_ms": None}, [], [], 5)
    assert len({a.id for a in found}) == 5


def test_goes_on_as_without_an_interruption(conditional: SearchSpace, metrics: Metrics) -> None:
    spread = spread_over(conditional, 7)
    whole = explored(conditional, metrics, spread, [], 25)
    rows = [{**metrics(a), "architecture": a.to_json(), "trial": i} for i, a in enumerate(whole[:13])]
    assert explored(conditional, metrics, spread, rows, 12) == whole[13:]


def test_more_asked_for_later_begin_with_the_same_spread(conditional: SearchSpace, metrics: Metrics) -> None:
    spread = spread_over(conditional, 10)
    first = explored(conditional, metrics, spread[:4], [], 4)
    rows = [{**metrics(a), "architecture": a.to_json(), "trial": i} for i, a in enumerate(first)]
    assert [*first, *explored(conditional, metrics, spread, rows, 6)] == spread

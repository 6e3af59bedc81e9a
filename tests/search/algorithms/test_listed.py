"""A list is proposed in its order, once, and nothing after it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from search.algorithms.algorithm import SpaceExhausted, replay
from search.algorithms.listed import Listed
from search.problem import Problem
from search_space import Architecture, SearchSpace


@pytest.fixture
def architectures(conditional: SearchSpace) -> list[Architecture]:
    generator = np.random.default_rng(0)
    return list({a.id: a for a in (conditional.sample(generator) for _ in range(5))}.values())


def test_the_list_is_proposed_in_order_and_then_nothing(
    conditional: SearchSpace, architectures: list[Architecture]
) -> None:
    algorithm = Listed(Problem.parse(conditional, ["accuracy"]), 0, architectures)
    assert [algorithm.ask() for _ in architectures] == architectures
    for _ in range(2):
        with pytest.raises(SpaceExhausted, match=f"all {len(architectures)} architectures of the list"):
            algorithm.ask()


def test_what_was_told_is_not_proposed(conditional: SearchSpace, architectures: list[Architecture]) -> None:
    algorithm = Listed(Problem.parse(conditional, ["accuracy"]), 0, architectures)
    rows = [{"trial": i, "architecture": architectures[i].to_json(), "accuracy": 0.5} for i in (0, 2)]
    replay(algorithm, rows)
    assert algorithm.ask() == architectures[1]
    assert algorithm.ask() == architectures[3]


def test_the_list_may_leave_the_space(conditional: SearchSpace, architectures: list[Architecture]) -> None:
    bare = replace(architectures[0], stages=())
    algorithm = Listed(Problem.parse(conditional, ["accuracy"]), 0, [bare, architectures[1]])
    assert algorithm.ask() == bare
    algorithm.tell(bare, {"accuracy": 0.5})
    assert algorithm.ask() == architectures[1]

"""Searches on a real, private Ray cluster, shared by the tests of this module."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from search.algorithms.algorithm import Algorithm
from search.algorithms.registry import make_algorithm
from search.cluster import connected
from search.problem import Evaluate, Problem
from search.tune import run_search
from search_space import Architecture, SearchSpace, UserError

Factory = Callable[[], Evaluate]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with connected("local", min_cpus=2):
        yield


@pytest.fixture(autouse=True)
def nothing_left_behind(cluster: None) -> Iterator[None]:
    """Ray and Tune set signal handlers and variables for the time of a search only."""

    def state() -> tuple[dict[str, str], list[Any]]:
        variables = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        return variables, [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]

    before = state()
    yield
    assert state() == before


@pytest.fixture
def factory() -> Factory:
    """Made inside a function, so that workers need not import this module."""

    def build() -> Evaluate:
        builder = uuid.uuid4().hex

        def evaluate(architectures: list[Architecture]) -> list[dict[str, Any]]:
            if any(len(a.stages[0].blocks) == 3 for a in architectures):
                raise ValueError("three blocks are too many")
            return [{"accuracy": 1 / len(a.to_json()), "device": builder} for a in architectures]

        return evaluate

    return build


@pytest.fixture
def algorithm(conditional: SearchSpace) -> Callable[[], Algorithm]:
    return lambda: make_algorithm("nsga2", Problem.parse(conditional, ["accuracy"]), 0)


def test_a_search_goes_on_where_it_stopped(algorithm: Callable[[], Algorithm], factory: Factory) -> None:
    """Rows are complete and numbered, nothing is evaluated twice, errors stay with their own architecture, and each of
    the two workers builds its evaluator once.
    """
    table: list[dict[str, Any]] = []
    for num_trials in (10, 10, 24):
        outcome = run_search(algorithm(), factory, list(table), num_trials, table.extend, batch_size=3, workers=2)
        assert outcome.ending == "complete"
        assert outcome.rows == table
        assert len(table) == num_trials
    assert [row["trial"] for row in table] == list(range(24))
    assert len({row["id"] for row in table}) == 24
    for row in table:
        architecture = Architecture.from_json(row["architecture"])
        assert row["id"] == architecture.id
        assert row["seconds"] >= 0
        failed = len(architecture.stages[0].blocks) == 3
        assert row.get("error") == ("ValueError: three blocks are too many" if failed else None)
        assert row.get("accuracy") == (None if failed else 1 / len(row["architecture"]))
    assert 1 <= len({row["device"] for row in table[10:] if "device" in row}) <= 2


@pytest.mark.parametrize("space", ["tiny"], indirect=True)
def test_a_killed_worker_costs_nothing_and_an_exhausted_space_ends_the_search(
    space: SearchSpace, tmp_path: Path
) -> None:
    fuse = tmp_path / "fuse"
    fuse.touch()

    def build() -> Evaluate:
        def evaluate(architectures: list[Architecture]) -> list[dict[str, Any]]:
            if fuse.exists():
                fuse.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            return [{"accuracy": 0.5} for _ in architectures]

        return evaluate

    table: list[dict[str, Any]] = []
    algorithm = make_algorithm("random", Problem.parse(space, ["accuracy"]), 0)
    outcome = run_search(algorithm, build, [], 1000, table.extend, batch_size=5, workers=1)
    assert not fuse.exists()
    assert outcome.ending == "exhausted"
    assert [(row["trial"], row["accuracy"]) for row in table] == [(trial, 0.5) for trial in range(12)]
    assert {row["architecture"] for row in table} == {a.to_json() for a in space.enumerate()}


def test_a_worker_that_no_node_can_hold_is_refused(algorithm: Callable[[], Algorithm], factory: Factory) -> None:
    with pytest.raises(UserError, match="each worker needs 1000 CPU and the cluster has"):
        run_search(algorithm(), factory, [], 4, lambda rows: None, cpus=1000.0)

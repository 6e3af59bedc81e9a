"""Searches on a real, private Ray cluster, shared by the tests of this module."""

from __future__ import annotations

import math
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import search.team
from search.algorithms.algorithm import Algorithm
from search.algorithms.registry import make_algorithm
from search.cluster import connected
from search.crew import Crew
from search.launch import run_search
from search.problem import Evaluate, Problem
from search_space import Architecture, SearchSpace, UserError

pytestmark = pytest.mark.xdist_group("launch")

Factory = Callable[[], Evaluate]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with connected("local", min_cpus=2):
        yield


@pytest.fixture(autouse=True)
def nothing_left_behind(cluster: None) -> Iterator[None]:
    """Signal handlers and variables change for the time of a search only."""

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
        outcome = run_search(algorithm(), Crew(factory, workers=2), list(table), num_trials, table.extend, batch_size=3)
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
    outcome = run_search(algorithm, Crew(build, workers=1), [], 1000, table.extend, batch_size=5)
    assert not fuse.exists()
    assert outcome.ending == "exhausted"
    assert [(row["trial"], row["accuracy"]) for row in table] == [(trial, 0.5) for trial in range(12)]
    assert {row["architecture"] for row in table} == {a.to_json() for a in space.enumerate()}


def test_a_worker_that_no_node_can_hold_is_refused(algorithm: Callable[[], Algorithm], factory: Factory) -> None:
    with pytest.raises(UserError, match="each worker needs 1000 CPU and the cluster has"):
        run_search(algorithm(), Crew(factory, cpus=1000.0), [], 4, lambda rows: None)


def misbehaving(architectures: list[Architecture]) -> list[dict[str, Any]]:
    """By an architecture's id: one of four dies, one hangs, one raises, one measures NaN; the others are good."""
    rows = []
    for architecture in architectures:
        kind = int(architecture.id, 16) % 8
        if kind == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == 1:
            time.sleep(1000)
        if kind == 2:
            raise ValueError("too wide")
        rows.append({"accuracy": math.nan if kind == 3 else 0.5})
    return rows


def test_whatever_an_evaluator_does_costs_only_its_own_row(conditional: SearchSpace) -> None:
    """Every trial is there exactly once, and those that did well have nothing of what happened to the others."""
    evaluate = misbehaving  # by value: workers do not import this module
    table: list[dict[str, Any]] = []
    algorithm = make_algorithm("random", Problem.parse(conditional, ["accuracy"]), 1)
    outcome = run_search(algorithm, Crew(lambda: evaluate, workers=2, timeout_s=0.5), [], 8, table.extend)
    assert outcome.ending == "complete"
    assert [row["trial"] for row in table] == list(range(8))
    assert len({row["id"] for row in table}) == 8
    expected = {
        0: "every worker that evaluated it died",
        1: "it took more than 0.5 s",
        2: "ValueError: too wide",
        3: "accuracy is nan",
    }
    for row in table:
        assert row.get("error") == expected.get(int(row["id"], 16) % 8)
    assert len({row.get("error") for row in table}) == 5


def test_each_crew_measures_its_part_of_every_row(conditional: SearchSpace) -> None:
    def crew(metric: str, seconds: float) -> Crew:
        def build() -> Evaluate:
            builder = uuid.uuid4().hex

            def evaluate(architectures: list[Architecture]) -> list[dict[str, Any]]:
                time.sleep(seconds)
                return [{metric: len(a.to_json()), f"by_{metric}": builder} for a in architectures]

            return evaluate

        return Crew(build, workers=1)

    table: list[dict[str, Any]] = []
    algorithm = make_algorithm("random", Problem.parse(conditional, ["accuracy", "latency_ms"]), 1)
    run_search(algorithm, [crew("accuracy", 0), crew("latency_ms", 0.05)], [], 12, table.extend, batch_size=2)
    assert [row["trial"] for row in table] == list(range(12))
    for row in table:
        assert row["accuracy"] == row["latency_ms"] == len(row["architecture"])
        assert 0.025 <= row["seconds"] < 1
    assert len({row["by_accuracy"] for row in table}) == len({row["by_latency_ms"] for row in table}) == 1


def test_stopping_finishes_what_is_out(algorithm: Callable[[], Algorithm], factory: Factory) -> None:
    table: list[dict[str, Any]] = []
    stop = lambda: len(table) >= 6  # noqa: E731
    outcome = run_search(algorithm(), Crew(factory, workers=2), [], 100, table.extend, batch_size=3, stop=stop)
    assert outcome.ending == "interrupted"
    assert 6 <= len(table) <= 12 and len(table) % 3 == 0
    asked = algorithm()
    for row in table:
        assert asked.ask().id == row["id"] or len(table) > 6
        asked.tell(Architecture.from_json(row["architecture"]), row)


def test_workers_that_die_before_they_are_ready_end_the_search(
    algorithm: Callable[[], Algorithm], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search.team, "MAX_FALSE_STARTS", 2)

    def build() -> Evaluate:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    with pytest.raises(RuntimeError, match="2 workers in a row died before they were ready"):
        run_search(algorithm(), Crew(build, workers=1), [], 4, lambda rows: None)


@pytest.mark.parametrize(("error", "expected"), [(UserError, "^no data at x$"), (ValueError, "on a worker:\nTrace")])
def test_an_evaluator_that_cannot_be_built_ends_the_search(
    algorithm: Callable[[], Algorithm], error: type[Exception], expected: str
) -> None:
    def build() -> Evaluate:
        raise error("no data at x")

    with pytest.raises(UserError if error is UserError else RuntimeError, match=expected):
        run_search(algorithm(), Crew(build), [], 4, lambda rows: None)


def test_what_the_caller_raises_ends_the_search_and_nothing_more_is_kept(
    algorithm: Callable[[], Algorithm], factory: Factory
) -> None:
    calls = 0

    def keep(rows: list[dict[str, Any]]) -> None:
        nonlocal calls
        calls += 1
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        run_search(algorithm(), Crew(factory, workers=2), [], 12, keep)
    assert calls == 1

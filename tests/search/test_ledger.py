"""The ledger's bookkeeping, without workers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from search.algorithms.random import Random
from search.ledger import HOPELESS, Ledger
from search.problem import Problem
from search_space import SearchSpace, UserError

MakeLedger = Callable[..., Ledger]
GOOD = {"accuracy": 0.5, "seconds": 0.1}
BAD = {"error": "ValueError: too narrow\nin the second line", "seconds": 0.1}


@pytest.fixture
def kept() -> list[list[dict[str, Any]]]:
    return []


@pytest.fixture
def make(kept: list[list[dict[str, Any]]]) -> MakeLedger:
    def make(space: SearchSpace, num_trials: int = 10, rows: Any = ()) -> Ledger:
        return Ledger(Random(Problem.parse(space, ["accuracy"]), 3), list(rows), num_trials, kept.append)

    return make


def test_exactly_as_many_architectures_are_drawn_as_trials_are_wanted(
    make: MakeLedger, conditional: SearchSpace
) -> None:
    ledger = make(conditional)
    batches = [ledger.draw(4) for _ in range(4)]
    assert [len(batch) for batch in batches] == [4, 4, 2, 0]
    assert ledger.num_out == 10
    for batch in batches:
        ledger.enter(batch, [GOOD] * len(batch))
    assert ledger.num_out == 0 and ledger.draw(4) == []


def test_rows_are_kept_before_the_algorithm_learns_of_them(conditional: SearchSpace) -> None:
    events: list[str] = []

    class Recorder(Random):
        def _learn(self, *_: object) -> None:
            events.append("told")

    problem = Problem.parse(conditional, ["accuracy"])
    ledger = Ledger(Recorder(problem, 0), [], 2, lambda rows: events.append(f"kept {len(rows)}"))
    ledger.enter(ledger.draw(2), [GOOD] * 2)
    assert events == ["kept 2", "told", "told"]


def test_rows_are_numbered_as_they_are_entered(
    make: MakeLedger, conditional: SearchSpace, kept: list[list[dict[str, Any]]]
) -> None:
    ledger = make(conditional)
    batches = [ledger.draw(4) for _ in range(3)]
    for i in (2, 0, 1):
        ledger.enter(batches[i], [GOOD] * len(batches[i]))
    assert [len(rows) for rows in kept] == [2, 4, 4]
    rows = [row for some in kept for row in some]
    assert rows == ledger.rows
    assert [row["trial"] for row in rows] == list(range(10))
    assert [row["id"] for row in rows] == [a.id for i in (2, 0, 1) for a in batches[i]]
    assert {(row["algorithm"], row["seed"], row["accuracy"]) for row in rows} == {("random", 3, 0.5)}


def test_rows_of_earlier_runs_count(make: MakeLedger, conditional: SearchSpace) -> None:
    first = make(conditional, num_trials=4)
    first.enter(first.draw(4), [GOOD] * 4)
    second = make(conditional, num_trials=6, rows=first.rows)
    second.enter(second.draw(4), [GOOD] * 2)
    assert [row["trial"] for row in second.rows] == list(range(6))


@pytest.mark.parametrize("space", ["tiny"], indirect=True)
def test_the_last_batch_of_a_space_is_what_is_left_of_it(make: MakeLedger, space: SearchSpace) -> None:
    ledger = make(space, num_trials=100)
    assert [len(ledger.draw(5)) for _ in range(4)] == [5, 5, 2, 0]
    assert ledger.exhausted


def test_one_success_keeps_a_search_going(make: MakeLedger, conditional: SearchSpace) -> None:
    ledger = make(conditional, num_trials=100)
    for i in range(5):
        ledger.enter(ledger.draw(4), [BAD, BAD, BAD, GOOD if i == 0 else BAD])


@pytest.mark.parametrize("num_trials", [4, 100])
def test_a_search_in_which_nothing_works_stops_with_the_last_error(
    make: MakeLedger, conditional: SearchSpace, kept: list[list[dict[str, Any]]], num_trials: int
) -> None:
    ledger = make(conditional, num_trials=num_trials, rows=[GOOD | {"trial": 0}] * 2)
    with pytest.raises(UserError, match=r"the last error was: ValueError: too narrow$"):
        while batch := ledger.draw(4):
            ledger.enter(batch, [BAD] * len(batch))
    assert sum(map(len, kept)) == min(num_trials - 2, HOPELESS)


def test_a_metric_that_is_no_number_is_told(conditional: SearchSpace) -> None:
    problem = Problem.parse(conditional, ["accuracy"], ["latency_ms <= 5"])
    ledger = Ledger(Random(problem, 3), [], 10, lambda rows: None)
    measured: list[dict[str, Any]] = [
        {"accuracy": 0.5, "latency_ms": 1.0},
        {"accuracy": math.nan, "latency_ms": 1.0},
        {"accuracy": 0.5},
        {"accuracy": math.inf, "error": "too wide"},
    ]
    ledger.enter(ledger.draw(4), measured)
    errors = [row.get("error") for row in ledger.rows]
    assert errors == [None, "accuracy is nan", "latency_ms is None", "too wide"]


def test_what_cannot_be_kept_is_not_learned(conditional: SearchSpace) -> None:
    def keep(rows: list[dict[str, Any]]) -> None:
        raise OSError("the disk is full")

    ledger = Ledger(Random(Problem.parse(conditional, ["accuracy"]), 3), [], 10, keep)
    batch = ledger.draw(4)
    with pytest.raises(OSError):
        ledger.enter(batch, [GOOD] * 4)
    assert ledger.rows == []

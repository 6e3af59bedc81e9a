"""Which subnet is taken out where a careful measurement differs from what the rows say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from search_space import Architecture, UserError
from snugnet import selection
from snugnet.selection import Budget, choose
from supernet.latency import Latency
from tests.spaces import every_component

SPACE = every_component(norm="layer")


def rows_of(number: int) -> list[dict[str, Any]]:
    """The slower, the more accurate: 1 to `number` ms."""
    generator, found = np.random.default_rng(0), dict[str, Architecture]()
    while len(found) < number:
        architecture = SPACE.sample(generator)
        found[architecture.id] = architecture
    return [
        {
            "architecture": a.to_json(),
            "id": a.id,
            "accuracy": i / number,
            "latency_ms": float(i),
            "params": 1,
            "flops": 1,
        }
        for i, a in enumerate(found.values(), 1)
    ]


def latency_of(ms: float) -> Latency:
    fields: dict[str, Any] = dict.fromkeys(Latency.__dataclass_fields__, 0)
    return Latency(**fields | {"median_ms": ms, "low_ms": ms, "high_ms": ms})


def chosen(limit: float | None, slower: float, number: int = 60, lucky: int = 0) -> tuple[float, int]:
    """The number of the chosen subnet, its latency, and how many were measured; the rows of the `lucky` slowest say
    1 ms, and then a predictor knows better.
    """
    rows, measured = rows_of(number), []
    latency = {row["id"]: row["latency_ms"] for row in rows}
    for row in rows[number - lucky :]:
        row["latency_ms"] = 1.0

    def measure(architecture: Architecture) -> Latency:
        measured.append(found := latency[architecture.id] * slower)
        return latency_of(found)

    known = {str(SPACE.choices(Architecture.from_json(row["architecture"]))): latency[row["id"]] for row in rows}
    predictor = SimpleNamespace(
        predict=lambda choices: [known[str(each)] for each in choices],
        predict_within=lambda choices, ms: norm.cdf([np.log(ms / known[str(each)]) / 0.01 for each in choices]),
    )
    estimates: Any = SimpleNamespace(latency=predictor) if lucky else None
    evaluator: Any = SimpleNamespace(inherited=SimpleNamespace(supernet=SimpleNamespace(space=SPACE)))
    row = choose(rows, Budget(latency_ms=limit), evaluator, measure, estimates, 0).row
    return latency[row["id"]], len(measured)


@pytest.mark.parametrize(("slower", "best"), [(1.0, 50), (1.5, 33), (3.0, 16), (0.9, 55)])
def test_a_machine_that_is_slower_than_its_rows_costs_few_measurements(slower: float, best: int) -> None:
    number, num_measured = chosen(50, slower)
    assert number == best
    assert num_measured <= 8


def test_rows_that_were_lucky_do_not_use_up_the_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "_propose", lambda *_: [])
    for slower, best in ((1.0, 30), (1.5, 20)):
        number, num_measured = chosen(30, slower, lucky=20)
        assert number == best
        assert num_measured <= 6


def test_without_a_limit_the_most_accurate_is_taken_at_once() -> None:
    assert chosen(None, 1.0) == (60, 1)


@pytest.mark.parametrize("lucky_first", [True, False])
def test_what_fits_only_once_is_not_taken(lucky_first: bool) -> None:
    """Ten subnets near the limit measure below it the first time and above it afterwards, or the other way round."""
    rows = rows_of(10)
    for row in rows:
        row["latency_ms"] = 1.0
    seen: set[str] = set()

    def measure(architecture: Architecture) -> Latency:
        first = architecture.id not in seen
        seen.add(architecture.id)
        safe = architecture.id == rows[3]["id"]
        return latency_of(0.99 if safe or first == lucky_first else 1.01)

    evaluator: Any = SimpleNamespace(inherited=SimpleNamespace(supernet=SimpleNamespace(space=SPACE)))
    assert choose(rows, Budget(latency_ms=1.0), evaluator, measure, None, 0).row == rows[3]


def test_a_noisy_device_keeps_its_distance_from_the_limit() -> None:
    rows = rows_of(60)
    evaluator: Any = SimpleNamespace(inherited=SimpleNamespace(supernet=SimpleNamespace(space=SPACE)))
    latency = {row["id"]: row["latency_ms"] for row in rows}

    def chosen_with(noise: float) -> float:
        taken = choose(rows, Budget(latency_ms=50), evaluator, lambda a: latency_of(latency[a.id]), None, 0, noise)
        return taken.latency.median_ms

    assert chosen_with(0.0) == 50
    assert chosen_with(0.05) == 47


def test_where_nothing_keeps_the_distance_what_fits_is_taken() -> None:
    rows = rows_of(3)
    evaluator: Any = SimpleNamespace(inherited=SimpleNamespace(supernet=SimpleNamespace(space=SPACE)))
    taken = choose(rows, Budget(latency_ms=1.02), evaluator, lambda a: latency_of(1.0), None, 0, 0.1)
    assert taken.row == rows[2]


@pytest.mark.parametrize(("others", "best"), [([1.02, 1.02], 1), ([0.92, 0.92], 0)])
def test_the_second_time_the_distance_counts_where_another_keeps_it(others: list[float], best: int) -> None:
    rows, evaluator = rows_of(2), SimpleNamespace(inherited=SimpleNamespace(supernet=SimpleNamespace(space=SPACE)))
    rows[0]["latency_ms"] = rows[1]["latency_ms"] = 0.9
    times = {rows[0]["id"]: iter(others), rows[1]["id"]: iter([0.9, 0.99])}
    taken = choose(rows, Budget(latency_ms=1), evaluator, lambda a: latency_of(next(times[a.id])), None, 0, 0.05)  # type: ignore[arg-type]
    assert taken.row == rows[best]
    assert taken.latency.median_ms == [0.92, 0.99][best]


def test_where_nothing_fits_the_nearest_is_named() -> None:
    with pytest.raises(
        UserError, match=r"no subnet measures under 0\.5 ms on this device; the nearest is .* at 2\.000 ms"
    ):
        chosen(0.5, 2.0)

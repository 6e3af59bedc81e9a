"""Which subnet is taken out where a careful measurement differs from what the rows say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from search_space import Architecture, UserError
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


def chosen(limit: float, slower: float, number: int = 60) -> tuple[float, int]:
    """The latency that the row of the chosen subnet names, and how many were measured."""
    rows, measured = rows_of(number), []
    by_id = {row["id"]: row["latency_ms"] for row in rows}

    def measure(architecture: Architecture) -> Latency:
        measured.append(found := by_id[architecture.id] * slower)
        fields = dict.fromkeys(Latency.__dataclass_fields__, 0)
        return Latency(**fields | {"median_ms": found, "low_ms": found, "high_ms": found})

    evaluator: Any = SimpleNamespace(supernet=SimpleNamespace(space=SPACE))
    return choose(rows, Budget(latency_ms=limit), evaluator, measure, None, 0).row["latency_ms"], len(measured)


@pytest.mark.parametrize(("slower", "best", "most"), [(1.0, 50, 1), (1.5, 33, 2), (3.0, 16, 2), (0.9, 50, 1)])
def test_a_machine_that_is_slower_than_its_rows_costs_one_measurement(slower: float, best: int, most: int) -> None:
    assert chosen(50, slower) == (best, most)


def test_where_nothing_fits_the_nearest_is_named() -> None:
    with pytest.raises(
        UserError, match=r"no subnet measures under 0\.5 ms on this device; the nearest is .* at 2\.000 ms"
    ):
        chosen(0.5, 2.0)

"""Predictors of a run's metrics learn from the other devices of its table of latencies."""

from __future__ import annotations

from typing import Any

import numpy as np

from search_space import Architecture, read_space
from snugnet.estimates import FEWEST_SOURCE_ROWS, Estimates, Source, sources_of
from snugnet.experiment import PredictorSettings
from supernet.cost import flops_of_parts
from supernet.network import Task
from supernet.registry import catalogue

SPACE = read_space(
    {
        "stem": {"patch": {"stride": 2}},
        "norm": "layer",
        "mixer": {"depthwise": {"kernel_size": [3, 5, 7]}},
        "ffn": {"mlp": {"expansion": [1, 2, 4]}},
        "stages": [
            {"width": [8, 16, 32], "depth": [1, 2]},
            {"width": [16, 32, 64], "depth": [1, 2, 3], "downsample": {"patch": {"stride": 2}}},
        ],
    },
    catalogue(),
)
TASK = Task((3, 16, 16), 10)
FLOPS = flops_of_parts(TASK)


def rows_of(device_id: str, number: int, seed: int, ms_per_flop: float = 1e-6) -> list[dict[str, Any]]:
    """Latencies in proportion to FLOPs, with 1% of noise."""
    generator = np.random.default_rng(seed)
    found = {a.id: a for a in (SPACE.sample(generator) for _ in range(number))}
    return [
        {
            "device_id": device_id,
            "id": a.id,
            "architecture": a.to_json(),
            "accuracy": float(generator.random()),
            "latency_ms": ms_per_flop * FLOPS(a) * float(np.exp(generator.normal(0, 0.01))),
            "error": None,
        }
        for a in found.values()
    ]


def test_sources_are_the_other_devices_that_were_measured() -> None:
    table = rows_of("here", 30, 0) + rows_of("there", 30, 1) + rows_of("hardly", FEWEST_SOURCE_ROWS - 1, 2)
    failed = rows_of("there", 1, 3)[0] | {"latency_ms": None, "error": "no memory"}
    ((name, choices, latencies),) = sources_of([*table, failed], [], "here", SPACE)
    there = [row for row in table if row["device_id"] == "there"]
    assert name == "there"
    assert choices == [SPACE.choices(Architecture.from_json(row["architecture"])) for row in there]
    assert latencies == [row["latency_ms"] for row in there]


def test_another_device_teaches_a_new_one() -> None:
    known, new = rows_of("here", 20, 0, 3e-6), rows_of("here", 100, 4, 3e-6)
    sources = sources_of(rows_of("there", 200, 1), [], "here", SPACE)
    choices = [SPACE.choices(Architecture.from_json(row["architecture"])) for row in new]
    truth = np.array([row["latency_ms"] for row in new])

    def error(given: list[Source]) -> float:
        fitted = Estimates(known, SPACE, PredictorSettings(), (), given)
        return float(np.mean(np.abs(fitted.latency.predict(choices) / truth - 1)))

    assert error(sources) < 0.7 * error([])

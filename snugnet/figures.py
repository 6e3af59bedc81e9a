"""The measured figures of the catalogue, as benchmarks/catalogue.py wrote them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Figures:
    """Of one component at default options on 14 x 14 positions; `accuracy` (fraction) and its spread only of mixers.

    `params` and `flops` (of one input) are those at width 64, `latency_ms` those of 16 inputs at widths 32, 64 and
    128; `step_ratio` is the time of forward and backward at width 64 and batch 64 over that of a depthwise 7 x 7
    convolution, `step_peak_bytes` the peak of its memory.
    """

    params: int
    flops: int
    latency_ms: tuple[float, float, float]
    step_ratio: float
    step_peak_bytes: int
    accuracy: float | None
    accuracy_std: float | None


@cache
def read_figures() -> tuple[str, dict[tuple[str, str], Figures]]:
    """The processor that they were measured on, and (kind, name) -> figures; a new component has none yet."""
    stored = json.loads((files("snugnet") / "figures.json").read_text(encoding="utf-8"))
    return stored["processor"], {
        (row.pop("kind"), row.pop("name")): Figures(**{**row, "latency_ms": tuple(row["latency_ms"])})
        for row in stored["components"]
    }

"""A small space over every registered component, and tasks of one and two dimensions."""

from __future__ import annotations

from typing import Any

from search_space import SearchSpace, read_space
from supernet.network import Task
from supernet.registry import catalogue

TASKS = {"1-D": Task((2, 21), 5), "2-D": Task((1, 9, 11), 5)}


def every_component(**changes: Any) -> SearchSpace:
    """Every component of the registry, with the smallest and largest value of each option; some widths are odd."""
    ends = {
        kind: {
            name: {option: sorted({values[0], values[-1]}) for option, values in options.items()}
            for name, options in components.items()
        }
        for kind, components in catalogue().items()
    }
    table: dict[str, Any] = {
        "stem": {name: {"stride": 2} for name in ends["stem"]},
        **{kind: ends[kind] for kind in ("norm", "residual", "mixer", "gate", "ffn")},
        "stages": [
            {"width": [16, 21, 24], "depth": [1, 2]},
            {"width": [16, 27], "depth": [1, 2], "downsample": {"patch": {"stride": [1, 2]}}},
        ],
    }
    return read_space(table | changes, catalogue())

"""Spaces of every awkward size, and cheap metrics and predictors for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from search.algorithms.algorithm import Algorithm
from search.algorithms.guided import Guided
from search.algorithms.registry import ALGORITHMS, make_algorithm
from search.problem import Problem
from search_space import Architecture, Component, SearchSpace
from search_space.staged import Components, StagedSpace, StageSpace

MIXERS: Components = {"depthwise": {"kernel_size": (3, 5, 7)}, "attention": {"heads": (1, 2)}, "pooling": {}}
FFNS: Components = {"mlp": {"expansion": (1, 2, 4)}, "none": {}}
PATCH: Components = {"patch": {}}
LAYER: Components = {"layer": {}}
NO_GATE: Components = {"none": {}}


def staged(*stages: tuple[tuple[int, ...], tuple[int, ...]]) -> StagedSpace:
    """Stages of these widths and depths; a block's options depend on its mixer."""
    return StagedSpace(PATCH, LAYER, tuple(StageSpace(w, d, MIXERS, NO_GATE, FFNS, PATCH) for w, d in stages))


SPACES: dict[str, SearchSpace] = {
    "one": SearchSpace.only(Architecture(Component("patch"), ())),
    "tiny": StagedSpace(PATCH, LAYER, (StageSpace((8, 16), (1,), MIXERS, NO_GATE, {"none": {}}),)),
    "conditional": staged(((8, 16, 24), (1, 2, 3)), ((16, 32), (1, 2, 4))),
    "huge": staged(*[((8, 16, 24, 32), (1, 3, 6))] * 4),
}


@pytest.fixture
def conditional() -> SearchSpace:
    return SPACES["conditional"]


@pytest.fixture(params=SPACES)
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return SPACES[request.param]


@pytest.fixture
def metrics() -> Callable[[Architecture], dict[str, Any]]:
    """Made-up metrics, additive over decisions, in which what is better also costs more."""

    def measure(architecture: Architecture) -> dict[str, Any]:
        quality = cost = 0.0
        for name, value in architecture.flat().items():
            size = 2.0 if isinstance(value, str) else float(value)
            luck = int(hashlib.sha256(f"{name}={value}".encode()).hexdigest()[:8], 16) / 2**32
            cost += size
            quality += size**0.5 * (0.5 + luck)
        return {"accuracy": 1 - 1 / (1 + 0.1 * quality), "latency_ms": 0.01 * cost, "params": 10 * round(cost)}

    return measure


EVERY = [pytest.param(name, marks=pytest.mark.thorough) if name == "gp" else name for name in ALGORITHMS]
"""The names of the algorithms; Optuna's Gaussian processes take a second for each proposal."""


def small(name: str, problem: Problem, seed: int) -> Algorithm:
    """The algorithm of that name; guided search asks about hundreds of candidates instead of a hundred thousand."""
    if name == "guided":
        return Guided(problem, seed, fits_at=0.2, population_size=200, num_generations=3)
    return make_algorithm(name, problem, seed)

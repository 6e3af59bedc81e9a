"""Ranked: an algorithm that proposes from the measured architectures and their order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from search.algorithms.algorithm import Algorithm
from search.domination import best_first
from search.problem import Problem, Row
from search_space import Architecture, Scalar


class Measured(NamedTuple):
    architecture: Architecture
    losses: list[float]
    violation: float


class Ranked(Algorithm):
    """Keeps what was measured, in the order in which it was told."""

    def __init__(self, problem: Problem, seed: int) -> None:
        super().__init__(problem, seed)
        self._measured: list[Measured] = []

    def _learn(self, architecture: Architecture, choices: dict[str, Scalar], row: Row) -> None:
        if self.problem.measured(row):
            losses, violation = self.problem.losses(row), self.problem.violation(row)
            self._measured.append(Measured(architecture, losses, violation))


def best_of(measured: list[Measured]) -> list[Architecture]:
    """From best to worst: by violation, rank and crowding."""
    losses, violations = np.array([m.losses for m in measured]), np.array([m.violation for m in measured])
    return [measured[i].architecture for i in best_first(losses, violations)]

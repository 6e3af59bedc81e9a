"""A given list of architectures, each proposed once, in their order: for what is to be measured, not searched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search.algorithms.algorithm import Algorithm, SpaceExhausted
from search.problem import Problem, Row
from search_space import Architecture, Scalar


class Listed(Algorithm):
    """`ask` raises SpaceExhausted after the last architecture of the list, which need not be of the problem's space."""

    name = "listed"

    def __init__(self, problem: Problem, seed: int, architectures: Sequence[Architecture]) -> None:
        super().__init__(problem, seed)
        self.architectures = architectures

    def tell(self, architecture: Architecture, row: Row) -> None:
        self._asked.discard(architecture.id)
        self._told.add(architecture.id)

    def _propose(self, generator: np.random.Generator) -> Architecture:
        architecture = next(filter(self.is_open, self.architectures), None)
        if architecture is None:
            raise SpaceExhausted(f"all {len(self.architectures)} architectures of the list were proposed")
        return architecture

    def _learn(self, architecture: Architecture, choices: dict[str, Scalar], row: Row) -> None:
        """Nothing: the list is the list."""

"""What to measure so that a predictor learns most: architectures spread over the space, then where it is unsure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from search.algorithms.algorithm import Algorithm
from search.domination import Floats
from search.problem import Problem, Row
from search_space import Architecture, Scalar

Choices = Mapping[str, Scalar]

Unsure = Callable[[Sequence[Choices]], Floats]
"""How unsure a fitted predictor is of architectures given by their choices: (architectures,), larger where more."""

REFIT_EVERY = 10
"""Rows, after which the predictor is fitted anew."""

POOL = 50
"""Random architectures, of which the one is proposed that the predictor is most unsure of: few, so that proposals
between two fits differ from each other."""


class Exploring(Algorithm):
    """First the `spread` architectures in their order; then, by a predictor that `fit` fits to all measured rows, the
    one of a random pool that it is most unsure of (uncertainty sampling, Lewis & Gale, SIGIR 1994).
    """

    name = "exploring"

    def __init__(
        self,
        problem: Problem,
        seed: int,
        spread: Sequence[Architecture],
        fit: Callable[[Sequence[Choices], Sequence[Row]], Unsure],
    ) -> None:
        super().__init__(problem, seed)
        self._spread = spread
        self._fit = fit
        self._measured: list[tuple[Choices, Row]] = []
        self._num_fitted = 0
        self._unsure: Unsure | None = None

    def _learn(self, architecture: Architecture, choices: dict[str, Scalar], row: Row) -> None:
        if self.problem.measured(row):
            self._measured.append((choices, row))

    def _propose(self, generator: np.random.Generator) -> Architecture:
        first = next(filter(self.is_open, self._spread), None)
        if first is not None:
            return first
        space = self.problem.space
        pool = [space.sample(generator) for _ in range(POOL)]
        pool = [architecture for architecture in pool if self.is_open(architecture)] or pool
        num_rows = len(self._measured) // REFIT_EVERY * REFIT_EVERY
        if num_rows == 0:
            return pool[0]
        if num_rows != self._num_fitted:
            self._unsure, self._num_fitted = self._fit(*zip(*self._measured[:num_rows], strict=True)), num_rows
        assert self._unsure is not None
        return pool[int(np.argmax(self._unsure([space.choices(architecture) for architecture in pool])))]

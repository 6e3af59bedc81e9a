"""The architectures that guided search chooses among: all of a list, or what a population comes across."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from search.beliefs import Beliefs
from search.domination import best_first
from search_space import ChoiceMatrix, PopulationSpace, Scalar, SearchSpace


class Candidates(Protocol):
    @property
    def decisions(self) -> Mapping[str, tuple[Scalar, ...]]:
        """Of all of them."""

    def promising(self, beliefs: Beliefs, measured: ChoiceMatrix, generator: np.random.Generator) -> ChoiceMatrix:
        """Those worth a closer look."""


class Everything:
    """All of a space that is a list."""

    def __init__(self, listed: ChoiceMatrix) -> None:
        self.decisions: Mapping[str, tuple[Scalar, ...]] = listed.decisions
        self._listed = listed

    def promising(self, beliefs: Beliefs, measured: ChoiceMatrix, generator: np.random.Generator) -> ChoiceMatrix:
        return self._listed


class Population:
    """The best that a population comes across as it evolves on predicted means (NSGA-II), and random ones."""

    def __init__(self, space: SearchSpace, size: int, num_generations: int) -> None:
        self._space, self._size, self._num_generations = PopulationSpace(space), size, num_generations
        self.decisions: Mapping[str, tuple[Scalar, ...]] = self._space.decisions

    def promising(self, beliefs: Beliefs, measured: ChoiceMatrix, generator: np.random.Generator) -> ChoiceMatrix:
        space, size = self._space, self._size
        fresh = space.sample(size, generator)
        found = space.matrix(np.concatenate([measured.codes, fresh])).distinct()
        losses, violations = beliefs.means(found)
        for _ in range(self._num_generations):
            best = best_first(losses, violations)[:size]
            found, losses, violations = found.at(best), losses[best], violations[best]
            # Both parents are winners of binary tournaments: the best stand first.
            a, b = generator.integers(len(found), size=(2, 2, size)).min(axis=1)
            children = space.crossover(found.codes[a], found.codes[b], generator)
            children[::2] = space.mutate(children[::2], generator)
            new = space.matrix(children).distinct().without(found)
            more_losses, more_violations = beliefs.means(new)
            found = space.matrix(np.concatenate([found.codes, new.codes]))
            losses, violations = np.concatenate([losses, more_losses]), np.concatenate([violations, more_violations])
        best = best_first(losses, violations)[:size]
        return space.matrix(np.concatenate([found.codes[best], fresh])).distinct()

"""Regularised evolution: the best of a random few among the youngest has a mutated child (Real et al., AAAI 2019)."""

from __future__ import annotations

import numpy as np

from search.algorithms.ranked import Ranked, best_of
from search_space import Architecture

POPULATION_SIZE, SAMPLE_SIZE = 50, 10
"""Of the paper's search for image classifiers 100 and 25, for 20,000 evaluations."""

WARM_UP = 20
"""Random architectures before the first child, fewer than a population: evaluations are dear."""


class Evolution(Ranked):
    """Ages, not losses, decide who dies: the population is the last that were measured."""

    name = "evolution"

    def _propose(self, generator: np.random.Generator) -> Architecture:
        population = self._measured[-POPULATION_SIZE:]
        if len(population) < WARM_UP:
            return self.problem.space.sample(generator)
        chosen = generator.choice(len(population), size=min(SAMPLE_SIZE, len(population)), replace=False)
        parent = best_of([population[i] for i in chosen])[0]
        return self.problem.space.mutate(parent, generator, rate=0.0)

"""Local search: neighbours of the best, which differ from it in one decision (White et al., UAI 2021).

With several objectives it is Pareto local search (Paquete et al., 2004): neighbours of any member of the front.
"""

from __future__ import annotations

import moocore
import numpy as np

from search.algorithms.ranked import Measured, Ranked
from search_space import Architecture

WARM_UP = 10
"""Random architectures, the best of which is where it starts."""


class LocalSearch(Ranked):
    """Where all neighbours were seen, it goes on from a random architecture: a restart."""

    name = "local_search"

    def _propose(self, generator: np.random.Generator) -> Architecture:
        if len(self._measured) < WARM_UP:
            return self.problem.space.sample(generator)
        best = self._best()
        return self.problem.space.mutate(best[generator.integers(len(best))].architecture, generator, rate=0.0)

    def _best(self) -> list[Measured]:
        """The front of what is feasible, or what comes nearest."""
        least = min(measured.violation for measured in self._measured)
        nearest = [measured for measured in self._measured if measured.violation == least]
        members = moocore.is_nondominated(np.array([measured.losses for measured in nearest]), keep_weakly=True)
        return [measured for measured, member in zip(nearest, members, strict=True) if member]

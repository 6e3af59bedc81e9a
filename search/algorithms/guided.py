"""Guided search: predictors learn from all rows and say of which architectures most improvement is expected.

Bayesian optimisation by expected hypervolume improvement (Emmerich et al., 2011), on a space of choices. A batch is put
together one by one, as if each were already measured as predicted (kriging believer, Ginsbourger et al., 2010).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from search.algorithms.algorithm import Algorithm
from search.beliefs import Beliefs
from search.candidates import Candidates, Everything, Population
from search.improvement import Improvement
from search.problem import Problem, Row
from search.surrogate import Fit, Ridge
from search_space import Architecture, ChoiceMatrix, Scalar, SearchSpace

SHORTLIST = 1000
"""Candidates with most improvement, among which a batch is found: what is measured only lowers it."""


COUNTED = 300
"""Random architectures from which is learned what can be counted."""

Trial = tuple[Mapping[str, Scalar], Row]
"""The choices of a measured architecture, and what was measured."""


class Guided(Algorithm):
    """Random until `warm_up` rows are measured; then predictors are fitted anew after each row, later after each
    twentieth of the rows.

    Where the space is a list, all of it are candidates. Elsewhere a population evolves on predicted means, and its best
    `population_size` with as many random ones are.
    """

    name = "guided"

    def __init__(
        self,
        problem: Problem,
        seed: int,
        fit: Fit = Ridge,
        *,
        warm_up: int = 12,
        fits_at: float = 0.05,
        population_size: int = 5000,
        num_generations: int = 20,
    ) -> None:
        super().__init__(problem, seed)
        self._fit = fit
        self._warm_up = warm_up
        self._fits_at = fits_at
        self._candidates: Candidates = (
            Population(problem.space, population_size, num_generations)
            if problem.space.listed is None
            else Everything(problem.space.listed)
        )
        self._measured: list[Trial] = []
        self._num_fitted, self._next_fit = 0, warm_up
        self._batch: Batch | None = None

    def _learn(self, architecture: Architecture, choices: dict[str, Scalar], row: Row) -> None:
        if self.problem.measured(row):
            self._measured.append((choices, row))

    def _propose(self, generator: np.random.Generator) -> Architecture:
        while len(self._measured) >= self._next_fit:
            self._num_fitted = self._next_fit
            self._next_fit += max(1, int(self._fits_at * self._next_fit))
            self._batch = None
        if self._num_fitted == 0:
            return self.problem.space.sample(generator)
        if self._batch is None:
            self._batch = self._prepare(self._measured[: self._num_fitted])
        return next(filter(self.is_open, self._batch), None) or self.problem.space.sample(generator)

    @cached_property
    def _counted(self) -> tuple[ChoiceMatrix, list[Row]] | None:
        space, generator = self.problem.space, np.random.default_rng(self.seed)
        if not self.problem.counts.keys() & set(self.problem.metrics):
            return None
        drawn = [space.sample(generator) for _ in range(COUNTED)]
        rows: list[Row] = [self.problem.counted(architecture) for architecture in drawn]
        return ChoiceMatrix.of(self._candidates.decisions, [space.choices(a) for a in drawn]), rows

    def _prepare(self, trials: Sequence[Trial]) -> Batch:
        generator = np.random.default_rng((self.seed, len(trials)))
        measured = ChoiceMatrix.of(self._candidates.decisions, [choices for choices, _ in trials])
        rows = [row for _, row in trials]
        beliefs = Beliefs(self.problem, measured, rows, self._warm_up, self._fit, self._counted)
        promising = self._candidates.promising(beliefs, measured, generator)
        return Batch(self.problem.space, promising.without(measured), beliefs)


class Batch:
    """Architectures from most to least promising, each once; found when they are asked for."""

    def __init__(self, space: SearchSpace, candidates: ChoiceMatrix, beliefs: Beliefs) -> None:
        self._space, self._found = space, list[Architecture]()
        self._means, stds, self._chance = beliefs.spread(candidates)
        self._improvement = Improvement(self._means, stds, beliefs.reference)
        self._improvement.add(beliefs.achieved)
        worth = self._chance * self._improvement.of(np.arange(len(candidates)), roughly=True)
        self._candidates, self._left = candidates, np.argsort(-worth, kind="stable")[:SHORTLIST]

    def __iter__(self) -> Iterator[Architecture]:
        yield from self._found
        while self._left.size:
            best = self._next()
            self._found.append(self._space.replay(self._candidates.choices(best)))
            yield self._found[-1]

    def _next(self) -> int:
        worth = self._chance[self._left] * self._improvement.of(self._left)
        at = int(worth.argmax())
        best, self._left = int(self._left[at]), np.delete(self._left, at)
        if self._chance[best] >= 0.5:
            self._improvement.add(self._means[[best]])
        return best

"""Algorithm: ask it for an architecture never seen before, tell it what was measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import islice

import numpy as np

from search.descent import descent
from search.problem import Problem, Row
from search_space import Architecture, Scalar

ATTEMPTS = 20
"""How often an algorithm may propose something already seen before an unseen architecture is drawn at random."""

LISTED = 10_000
"""Architectures of a list that are looked at for one within the constraints."""


class SpaceExhausted(Exception):
    """Every architecture of the space has been asked for or told."""


class Algorithm(ABC):
    """Proposes architectures to evaluate. A subclass writes `_propose` and `_learn`.

    What it proposes depends only on the seed, the rows told and the asks still unanswered: there is no other state. So
    a fresh algorithm that is told the rows of a table goes on as the one that proposed them. It does so exactly when
    each was told before the next was asked; with several in flight, later proposals may differ.
    """

    name: str
    """What the registry calls it; written into every row it proposes."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self.problem = problem
        self.seed = seed
        self._told: set[str] = set()
        self._asked: set[str] = set()

    def ask(self) -> Architecture:
        """An architecture of the space neither asked nor told before. Raises SpaceExhausted when none is left."""
        position = len(self._told) + len(self._asked)
        for attempt in range(ATTEMPTS):
            architecture = self._propose(np.random.default_rng((self.seed, position, attempt)))
            if self.is_open(architecture):
                break
        else:
            architecture = self._unseen(np.random.default_rng((self.seed, position, ATTEMPTS)))
        self._asked.add(architecture.id)
        return architecture

    def tell(self, architecture: Architecture, row: Row) -> None:
        """Learn what was measured; the architecture need not have been asked for. A second row for it is ignored.

        Raises UserError when the architecture is not in the space.
        """
        choices = self.problem.space.choices(architecture)
        self._asked.discard(architecture.id)
        if architecture.id not in self._told:
            self._told.add(architecture.id)
            self._learn(architecture, choices, row)

    def is_open(self, architecture: Architecture) -> bool:
        """Whether it is new and, as far as counting can tell, feasible."""
        return self._is_new(architecture) and self.problem.excess(architecture) <= 0

    def _is_new(self, architecture: Architecture) -> bool:
        return architecture.id not in self._told and architecture.id not in self._asked

    @abstractmethod
    def _propose(self, generator: np.random.Generator) -> Architecture:
        """An architecture of the space, seen or not; all randomness comes from the generator."""

    @abstractmethod
    def _learn(self, architecture: Architecture, choices: dict[str, Scalar], row: Row) -> None:
        """Take in a row, in which metrics may be missing. Called once for each architecture."""

    def _unseen(self, generator: np.random.Generator) -> Architecture:
        """Random draws first, then the way from them to the constraints that counting decides; when these keep hitting
        what was seen, the first unseen one in order of enumeration.

        Without such constraints that order meets an unseen architecture, or its end, after at most as many steps as
        architectures were seen. With them, it is followed for LISTED steps.
        """
        space, constrained = self.problem.space, any(c.metric in self.problem.counts for c in self.problem.constraints)
        draws = [space.sample(generator) for _ in range(100)]
        unseen = next(filter(self.is_open, draws), None)
        if unseen is None and constrained:
            unseen = next(filter(self.is_open, descent(self.problem, draws, generator)), None)
        if unseen is None:
            listed = space.enumerate()
            unseen = next(filter(self.is_open, islice(listed, LISTED) if constrained else listed), None)
        if unseen is None:
            what = "that were found within the limits" if constrained else "of the search space"
            raise SpaceExhausted(f"all {len(self._told | self._asked)} architectures {what} were proposed")
        return unseen


def replay(algorithm: Algorithm, rows: Iterable[Row]) -> None:
    """Tell finished rows in the order of their trials. Raises UserError when one is not in the space."""
    for row in sorted(rows, key=lambda row: int(row["trial"])):
        algorithm.tell(Architecture.from_json(row["architecture"]), row)

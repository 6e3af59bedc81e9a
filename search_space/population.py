"""PopulationSpace: thousands of architectures of a space drawn, crossed and mutated in one go, as rows of codes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from search_space.architecture import Architecture
from search_space.errors import UserError
from search_space.matrix import ABSENT, ChoiceMatrix, Codes
from search_space.space import Options, SearchSpace

NUM_CHECKED = 64
"""Random architectures that must come out as their space builds them."""


class PopulationSpace:
    """The verbs of a SearchSpace on matrices of codes (architectures, decisions).

    A decision is made where `SearchSpace.conditions` hold. Raises UserError for a space whose decisions hang together
    in another way.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        decisions, conditions = space.decisions(), space.conditions()
        self.decisions = {name: decisions[name] for name in _openers_first(decisions, conditions)}
        self.num_options = np.array([len(options) for options in self.decisions.values()], dtype=np.int16)
        at = {name: j for j, name in enumerate(self.decisions)}
        self._openers = [
            [(at[opener], _accepts(decisions[opener], opening)) for opener, opening in conditions.get(name, {}).items()]
            for name in self.decisions
        ]
        generator = np.random.default_rng(0)
        for architecture in [space.sample(generator) for _ in range(NUM_CHECKED)]:
            self._check(architecture)

    def sample(self, count: int, generator: np.random.Generator) -> Codes:
        """Every decision uniformly at random among its options."""
        return self._settle(np.full((count, len(self.decisions)), ABSENT, dtype=np.int16), generator)

    def mutate(self, codes: Codes, generator: np.random.Generator) -> Codes:
        """In each row one decision takes another option; decisions that this opens are random."""
        if not self.decisions:
            return codes
        keys = np.where(codes == ABSENT, -1.0, generator.random(codes.shape, dtype=np.float32))
        rows, forced = np.arange(len(codes)), keys.argmax(axis=1)
        num_options = self.num_options[forced]
        step = 1 + np.floor(generator.random(len(codes)) * (num_options - 1)).astype(np.int16)
        mutated = codes.copy()
        mutated[rows, forced] = (codes[rows, forced] + step) % num_options
        return self._settle(mutated, generator)

    def crossover(self, a: Codes, b: Codes, generator: np.random.Generator) -> Codes:
        """Each decision from the row of either parent at random; one that neither made is random."""
        first = generator.integers(0, 2, size=a.shape, dtype=np.int8).astype(bool)
        child = np.where(first, a, b)
        return self._settle(np.where(child == ABSENT, np.where(first, b, a), child), generator)

    def matrix(self, codes: Codes) -> ChoiceMatrix:
        return ChoiceMatrix(self.decisions, codes)

    def codes(self, architecture: Architecture) -> Codes:
        """(decisions,) Raises UserError when the architecture is not in the space."""
        return ChoiceMatrix.of(self.decisions, [self.space.choices(architecture)]).codes[0]

    def architecture(self, codes: Codes) -> Architecture:
        """That of one row."""
        return self.space.replay(self.matrix(codes[None]).choices(0))

    def _settle(self, codes: Codes, generator: np.random.Generator) -> Codes:
        """Close what the other decisions close, and answer what they open, in place."""
        for j, openers in enumerate(self._openers):
            column, is_open = codes[:, j], self._open(codes, openers)
            column[~is_open] = ABSENT
            missing = np.flatnonzero(is_open & (column == ABSENT))
            if missing.size:
                column[missing] = generator.integers(self.num_options[j], size=len(missing), dtype=np.int16)
        return codes

    def _open(self, codes: Codes, openers: list[tuple[int, npt.NDArray[np.bool_]]]) -> npt.NDArray[np.bool_]:
        is_open = np.ones(len(codes), dtype=bool)
        for j, accepts in openers:
            is_open &= accepts[codes[:, j]]
        return is_open

    def _check(self, architecture: Architecture) -> None:
        codes = self.codes(architecture)
        made = [bool(self._open(codes[None], openers)[0]) for openers in self._openers]
        if made != (codes != ABSENT).tolist():
            name = next(name for name, a, b in zip(self.decisions, made, codes != ABSENT, strict=True) if a != b)
            raise UserError(
                f"whether the decision {name} is made does not follow from conditions on single decisions; "
                "say so in SearchSpace.conditions, or search with evolution"
            )


def _accepts(options: Options, opening: frozenset[object]) -> npt.NDArray[np.bool_]:
    """By code; the last entry is that of ABSENT."""
    return np.array([*(option in opening for option in options), False])


def _openers_first(decisions: Mapping[str, Options], conditions: Mapping[str, Mapping[str, object]]) -> list[str]:
    """The names, each behind those that open it."""
    placed: dict[str, None] = {}

    def place(name: str) -> None:
        for opener in conditions.get(name, {}):
            if opener not in placed:
                place(opener)
        placed.setdefault(name)

    for name in decisions:
        place(name)
    return list(placed)

"""SearchSpace: the whole space written once, as a function that asks `choose(name, options)` for each decision.

Sampling, the largest and smallest architecture, reading an architecture back into choices, validation, mutation,
crossover and enumeration are each another `choose`. The form follows PyGlove (Peng et al., NeurIPS 2020), in which a
program with symbolic choices is the space, and Optuna's define-by-run `trial.suggest_categorical`, which can be passed
as `choose` as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np

from search_space.architecture import Architecture, Scalar
from search_space.errors import UserError
from search_space.matrix import ChoiceMatrix

Options = tuple[Scalar, ...]


class Choose(Protocol):
    """Answers one decision: returns one of `options`. A decision of a single option is never asked."""

    def __call__(self, name: str, options: Options, /) -> Scalar: ...


class SearchSpace(ABC):
    """A set of architectures: whatever `build` can return.

    Options stand from smallest to largest: numbers in rising order, names in the order given. `largest()` takes the
    last option of every decision, `smallest()` the first. A decision's name is also the architecture's own name for it
    (`Architecture.flat`), which is how an architecture is read back into choices.
    """

    listed: ChoiceMatrix | None = None
    """All architectures, of a space that is a list of them and not a product of decisions."""

    @abstractmethod
    def build(self, choose: Choose) -> Architecture:
        """The architecture that follows when `choose` answers every decision."""

    def sample(self, generator: np.random.Generator) -> Architecture:
        """Every decision uniformly at random among its options."""
        return self.build(lambda _, options: _pick(options, generator))

    def largest(self, generator: np.random.Generator | None = None) -> Architecture:
        """Every number at its largest. Names are the last listed, or random when a generator is given."""
        return self.nested(1.0, generator)

    def smallest(self, generator: np.random.Generator | None = None) -> Architecture:
        """Every number at its smallest. Names are the first listed, or random when a generator is given."""
        return self.nested(0.0, generator)

    def nested(self, fraction: float, generator: np.random.Generator | None = None) -> Architecture:
        """Every number at the same relative size, 0 smallest to 1 largest: a chain of nested subnets as it grows."""

        def choose(_: str, options: Options) -> Scalar:
            if generator is not None and isinstance(options[0], str):
                return _pick(options, generator)
            return options[min(int(fraction * len(options)), len(options) - 1)]

        return self.build(choose)

    def choices(self, architecture: Architecture) -> dict[str, Scalar]:
        """The decisions that build this architecture, in order. Raises UserError when it is not in the space."""
        flat = architecture.flat()
        made: dict[str, Scalar] = {}

        def choose(name: str, options: Options) -> Scalar:
            value = flat.get(name)
            if value not in options:
                raise UserError(_refusal(name, value, options))
            made[name] = value
            return value

        rebuilt = self.build(choose).flat()
        for name in sorted(flat.keys() | rebuilt.keys()):
            if flat.get(name) != rebuilt.get(name):
                raise UserError(_refusal(name, flat.get(name), (rebuilt[name],) if name in rebuilt else ()))
        return made

    def replay(self, choices: Mapping[str, Scalar]) -> Architecture:
        """The inverse of `choices`. Names that no decision asks for are ignored; a missing or foreign value raises."""

        def choose(name: str, options: Options) -> Scalar:
            if choices.get(name) not in options:
                raise UserError(_refusal(name, choices.get(name), options))
            return choices[name]

        return self.build(choose)

    def __contains__(self, architecture: object) -> bool:
        try:
            return isinstance(architecture, Architecture) and self.choices(architecture) is not None
        except UserError:
            return False

    def mutate(self, parent: Architecture, generator: np.random.Generator, rate: float = 0.1) -> Architecture:
        """One decision changes for certain and every other with probability `rate`; new decisions are random."""
        current = self.choices(parent)
        forced = str(generator.choice(list(current))) if current else None

        def choose(name: str, options: Options) -> Scalar:
            value = current.get(name)
            if value not in options:
                return _pick(options, generator)
            if name != forced and generator.random() >= rate:
                return value
            return _pick(tuple(o for o in options if o != value), generator)

        return self.build(choose)

    def one_step_larger(self, architecture: Architecture) -> dict[str, Architecture]:
        """Each number of the architecture raised to its next option, all other decisions kept; by what was decided.

        Decisions that this opens, those of a further block, take their smallest numbers and the names listed first, and
        in further architectures, one at a time, every other name.
        """
        current = self.choices(architecture)
        found: dict[str, Architecture] = {}

        def build(raised: Mapping[str, Scalar], opened: dict[str, Options]) -> Architecture:
            def choose(name: str, options: Options) -> Scalar:
                if name not in current:
                    opened[name] = options
                return raised.get(name, current.get(name, options[0]))

            return self.build(choose)

        for name, options in self._asked(current).items():
            if isinstance(options[0], str) or current[name] == options[-1]:
                continue
            raised, opened = {name: options[options.index(current[name]) + 1]}, dict[str, Options]()
            found[f"{name}={raised[name]}"] = build(raised, opened)
            for new, names in opened.items():
                for other in names[1:] if isinstance(names[0], str) else ():
                    found[f"{name}={raised[name]}, {new}={other}"] = build({**raised, new: other}, {})
        return found

    def _asked(self, choices: Mapping[str, Scalar]) -> dict[str, Options]:
        """The decisions that these choices answer, each with its options; one without an answer takes the last."""
        asked: dict[str, Options] = {}

        def choose(name: str, options: Options) -> Scalar:
            asked[name] = options
            return choices.get(name, options[-1])

        self.build(choose)
        return asked

    def crossover(self, a: Architecture, b: Architecture, generator: np.random.Generator) -> Architecture:
        """Each decision from either parent at random; one that neither parent made is random."""
        parents = (self.choices(a), self.choices(b))

        def choose(name: str, options: Options) -> Scalar:
            offered = tuple(parent[name] for parent in parents if parent.get(name) in options)
            return _pick(offered or options, generator)

        return self.build(choose)

    def enumerate(self) -> Iterator[Architecture]:
        """Every architecture once, in lexicographic order of its decisions."""
        digits: list[int] = []
        while True:
            radix: list[int] = []

            def choose(_: str, options: Options, radix: list[int] = radix) -> Scalar:
                position = len(radix)
                if position == len(digits):
                    digits.append(0)
                radix.append(len(options))
                return options[digits[position]]

            yield self.build(choose)
            while digits and digits[-1] == radix[len(digits) - 1] - 1:
                digits.pop()
            if not digits:
                return
            digits[-1] += 1

    def covering(self, size: Literal["largest", "narrowest", "smallest"] = "largest") -> list[Architecture]:
        """Architectures in which every named choice stands in every place at least once.

        Numbers are the largest or the smallest; "narrowest" are the smallest widths with the largest of all others.
        """
        architectures: list[Architecture] = []
        taken: dict[str, dict[Scalar, int]] = {}

        def choose(name: str, options: Options) -> Scalar:
            if not isinstance(options[0], str):
                small = size == "smallest" or (size == "narrowest" and name.endswith(".width"))
                return options[0 if small and not name.endswith(".depth") else -1]
            times = taken.setdefault(name, dict.fromkeys(options, 0))

            def done(option: Scalar) -> bool:
                below = f"{name}.{option}."
                return times[option] > 0 and all(all(t.values()) for key, t in taken.items() if key.startswith(below))

            chosen = min(options, key=lambda option: (done(option), times[option]))
            times[chosen] += 1
            return chosen

        while not architectures or not all(all(times.values()) for times in taken.values()):
            architectures.append(self.build(choose))
        return architectures

    def decisions(self) -> dict[str, Options]:
        """Every decision that some architecture of the space makes, with its options."""
        return dict(self._decisions)

    @cached_property
    def _decisions(self) -> dict[str, Options]:
        asked: dict[str, Options] = {}
        for architecture in self.covering():
            asked |= self._asked(architecture.flat())
        return asked

    def conditions(self) -> dict[str, dict[str, frozenset[Scalar]]]:
        """When decisions are made that are not always: name -> the other decisions and what each must answer.

        Found by changing each decision of some architectures alone. A space that knows its structure says it.
        """
        found: dict[str, dict[str, frozenset[Scalar]]] = {}
        for architecture in self.covering():
            base = self.choices(architecture)
            for opener, options in self._asked(base).items():
                asked = {option: self._asked(base | {opener: option}).keys() for option in options}
                for name in frozenset.union(*map(frozenset, asked.values())):
                    opening = frozenset(option for option, names in asked.items() if name in names)
                    if len(opening) < len(options):
                        known = found.setdefault(name, {})
                        known[opener] = known.get(opener, frozenset()) | opening
        return found

    @property
    def size(self) -> int:
        """The exact number of architectures. Counted one by one here; a space that knows its structure multiplies."""
        return sum(1 for _ in self.enumerate())

    @staticmethod
    def only(architecture: Architecture) -> SearchSpace:
        """The space of this one architecture: a network trained alone is a supernet of it."""
        return _Only(architecture)


@dataclass(frozen=True)
class _Only(SearchSpace):
    architecture: Architecture

    def build(self, choose: Choose) -> Architecture:
        return self.architecture


def _pick(options: Options, generator: np.random.Generator) -> Scalar:
    return options[int(generator.integers(len(options)))]


def _refusal(name: str, value: Scalar | None, options: Options) -> str:
    if not options:
        return f"{name}={value} is not part of this space; remove it or add it to [search_space]"
    accepted = "(" + ", ".join(str(option) for option in options) + ")"
    given = "is missing; it takes" if value is None else "is not"
    shown = name if value is None else f"{name}={value}"
    return f"{shown} {given} one of {accepted}; add it to [search_space] or choose one of these"

"""A finished table as a problem: its rows are all there is to find, so algorithms are compared in seconds."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np

from search.problem import Constraint, Objective, Problem, Row
from search_space import Architecture, ChoiceMatrix, Choose, Scalar, SearchSpace, UserError
from search_space.architecture import canonical

MOST_VALUES = 30_000
"""Of one feature."""


class TableProblem(Problem):
    """Objectives and constraints on the columns of a table whose other columns, `features`, say what each row is.

    table: a pyarrow Table, a DataFrame, or a list of dicts. minimize, maximize: columns, at least one in all. at_most,
    at_least: column -> bound. Candidates are the rows that have a number in each of these columns; `num_left_out`
    counts the others, and those that repeat the features of an earlier row. Raises UserError for columns that the table
    lacks or that hold something else.
    """

    num_left_out: int

    def __init__(
        self,
        table: Any,
        *,
        features: Sequence[str],
        minimize: str | Sequence[str] = (),
        maximize: str | Sequence[str] = (),
        at_most: Mapping[str, float] | None = None,
        at_least: Mapping[str, float] | None = None,
    ) -> None:
        objectives = [Objective(name, True) for name in _names(maximize)]
        objectives += [Objective(name, False) for name in _names(minimize)]
        constraints = [Constraint(name, upper=_bound(name, bound)) for name, bound in (at_most or {}).items()]
        constraints += [Constraint(name, lower=_bound(name, bound)) for name, bound in (at_least or {}).items()]
        metrics = [o.metric for o in objectives] + [c.metric for c in constraints]
        rows = _rows(table)
        _check(rows, _names(features), metrics, num_objectives=len(objectives))
        candidates: dict[tuple[tuple[str, Scalar], ...], dict[str, Any]] = {}
        for number, row in enumerate(rows):
            if all(_is_number(row[metric], metric, number) for metric in metrics):
                candidates.setdefault(_features(row, _names(features), number), row)
        if not candidates:
            raise UserError(f"no row of the table has a number in each of {', '.join(metrics)}")
        super().__init__(TableSpace([*candidates]), tuple(objectives), tuple(constraints))
        object.__setattr__(self, "num_left_out", len(rows) - len(candidates))
        object.__setattr__(self, "_rows", [*candidates.values()])

    def evaluate(self, architectures: Sequence[Architecture], /) -> list[Row]:
        """The rows of the table."""
        return [self._rows[cast("Entry", architecture).number] for architecture in architectures]

    _rows: list[Row]


@dataclass(frozen=True)
class Entry:
    """A row of a table in the place of an architecture of which nothing but features is known."""

    features: tuple[tuple[str, Scalar], ...]
    number: int

    def flat(self) -> dict[str, Scalar]:
        return dict(self.features)

    def to_json(self) -> str:
        return json.dumps(self.flat(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @cached_property
    def id(self) -> str:
        """As that of an architecture: the first 16 hexadecimal digits of the SHA-256 of the JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]


class TableSpace(SearchSpace):
    """The space of a table's rows. What is built is the row nearest to the answers, so that a child of two rows, which
    the table may lack, stands for one that it has.
    """

    def __init__(self, rows: Sequence[tuple[tuple[str, Scalar], ...]]) -> None:
        # An entry has what the algorithms ask of an architecture: flat(), id and to_json().
        self._entries = [cast("Architecture", Entry(features, i)) for i, features in enumerate(rows)]
        flat = [dict(features) for features in rows]
        self._decisions = {name: _options(name, flat) for name in dict.fromkeys(name for row in flat for name in row)}
        self._decisions = {name: options for name, options in self._decisions.items() if len(options) > 1}
        self.listed = self._matrix = ChoiceMatrix.of(self._decisions, flat)
        self._numbers = {key: i for i, key in enumerate(self._matrix.keys())}
        self._is_name = np.array([isinstance(options[0], str) for options in self._decisions.values()], dtype=bool)
        self._steps = np.array([len(options) - 1 for options in self._decisions.values()])

    def build(self, choose: Choose) -> Architecture:
        answers = {name: choose(name, options) for name, options in self._decisions.items()}
        codes = ChoiceMatrix.of(self._decisions, [answers]).codes[0]
        apart = np.abs(self._matrix.codes - codes) / self._steps
        apart[:, self._is_name] = apart[:, self._is_name] > 0
        return self._entries[int(np.where(self._matrix.codes >= 0, apart, 0.0).sum(axis=1).argmin())]

    def sample(self, generator: np.random.Generator) -> Architecture:
        return self._entries[int(generator.integers(len(self._entries)))]

    def choices(self, architecture: Architecture) -> dict[str, Scalar]:
        flat = architecture.flat()
        made = {name: flat[name] for name in self._decisions if name in flat}
        self.replay(made)
        return made

    def replay(self, choices: Mapping[str, Scalar]) -> Architecture:
        try:
            return self._entries[self._numbers[ChoiceMatrix.of(self._decisions, [choices]).keys()[0]]]
        except KeyError:
            raise UserError(f"the table has no row with {dict(choices)}") from None

    def enumerate(self) -> Iterator[Architecture]:
        yield from self._entries

    def decisions(self) -> dict[str, tuple[Scalar, ...]]:
        return dict(self._decisions)

    def conditions(self) -> dict[str, dict[str, frozenset[Scalar]]]:
        return {}

    @property
    def size(self) -> int:
        return len(self._entries)


def _rows(table: Any) -> list[dict[str, Any]]:
    if hasattr(table, "to_pylist"):
        return table.to_pylist()
    if hasattr(table, "columns") and hasattr(table, "to_dict"):
        return table.to_dict("records")
    if isinstance(table, Sequence) and not isinstance(table, str) and all(isinstance(row, Mapping) for row in table):
        return [dict(row) for row in table]
    raise UserError(f"table must be a pyarrow Table, a DataFrame or a list of dicts, not {type(table).__name__}")


def _names(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else [*given]


def _bound(name: str, bound: Any) -> float:
    if isinstance(bound, bool) or not isinstance(bound, int | float | np.number) or not math.isfinite(bound):
        raise UserError(f"the bound {bound!r} of {name} must be a finite number")
    return float(bound)


def _check(rows: Sequence[Row], features: Sequence[str], metrics: Sequence[str], num_objectives: int) -> None:
    if not rows:
        raise UserError("the table has no rows")
    if not features:
        raise UserError("features is empty; name the columns that say what each row is")
    if not num_objectives:
        raise UserError("neither minimize nor maximize names a column; name what is to be optimised")
    known = set.intersection(*({*row} for row in rows))
    for name in (*features, *metrics):
        if name not in known:
            raise UserError(f"the table has no column {name!r}; it has {', '.join(map(str, rows[0]))}")
    objectives = metrics[:num_objectives]
    for name in objectives:
        if objectives.count(name) > 1:
            raise UserError(f"{name} is named twice among what is minimized and maximized")
    for name in features:
        if name in metrics:
            raise UserError(f"{name} is both a feature and a measurement; it can only be one of them")


def _is_number(value: Any, metric: str, number: int) -> bool:
    if isinstance(value, str | bytes | bool):
        raise UserError(f"{metric} is {value!r} in row {number}; objectives and bounds need numbers")
    return value is not None and math.isfinite(value)


def _features(row: Row, names: Sequence[str], number: int) -> tuple[tuple[str, Scalar], ...]:
    """An empty cell is a choice that was not made."""
    made: list[tuple[str, Scalar]] = []
    for name in names:
        value = row[name].item() if isinstance(row[name], np.generic) else row[name]
        if value is None or value != value:
            continue
        value = str(value) if isinstance(value, bool) else value
        if not isinstance(value, str) and (not isinstance(value, int | float) or math.isinf(value)):
            raise UserError(f"{name} is {value!r} in row {number}; a feature is a string or a finite number")
        made.append((name, canonical(value)))
    return tuple(made)


def _options(name: str, rows: Sequence[Mapping[str, Scalar]]) -> tuple[Scalar, ...]:
    values = {row[name] for row in rows if name in row}
    if len({isinstance(value, str) for value in values}) > 1:
        raise UserError(f"{name} is a number in some rows and a string in others; write it one way")
    if len(values) > MOST_VALUES:
        raise UserError(f"{name} has {len(values)} values; a feature has at most {MOST_VALUES}, so that it can recur")
    return tuple(sorted(values))

"""Tables of choices and targets as they come in: checked, and freed of absent entries."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from search_space import ChoiceMatrix, UserError

Array = npt.NDArray[np.float64]
Row = dict[str, str | float]
LARGEST = 1e50
"""Of numbers, so that squares of products of three of them are finite."""


class Rows(list[Row]):
    """Rows that were checked, and need not be again."""

    def at(self, positions: Iterable[int] | slice) -> Rows:
        return Rows(self[positions] if isinstance(positions, slice) else (self[i] for i in positions))


def as_table(rows: Any) -> Rows | ChoiceMatrix:
    """What can be predicted: a ChoiceMatrix as it is, anything else as `as_rows`."""
    return rows if isinstance(rows, ChoiceMatrix) else as_rows(rows)


def as_rows(rows: Any) -> Rows:
    """A DataFrame or a list of dicts of choices as a list of dicts; an entry of None or NaN is a choice not made.

    Raises UserError when there is no row, or an entry is neither a string nor a number within `LARGEST`.
    """
    if isinstance(rows, Rows):
        return rows
    if hasattr(rows, "columns") and hasattr(rows, "to_dict"):
        names = [*rows.columns]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f"the DataFrame has two columns {twice!r}; give each choice a name of its own")
        rows = rows.to_dict("records")
    if isinstance(rows, str | Mapping) or not isinstance(rows, Iterable):
        raise UserError(f"rows must be a DataFrame or a list of dicts of choices, not {type(rows).__name__}")
    checked = Rows(_row(row, i) for i, row in enumerate(rows))
    if not checked:
        raise UserError("no rows were given; give at least one dict of choices")
    return checked


def as_targets(y: Any, num_rows: int) -> Array:
    """Targets as a vector of `num_rows` numbers within `LARGEST`. Raises UserError otherwise."""
    try:
        targets = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError("targets must be numbers, one for each row") from None
    if targets.shape != (num_rows,):
        raise UserError(f"{num_rows} rows came with targets of shape {targets.shape}; give one number for each row")
    wrong = np.flatnonzero(~(np.abs(targets) <= LARGEST))
    if wrong.size:
        raise UserError(
            f"the target of row {wrong[0]} is {targets[wrong[0]]}; leave out rows without a number below {LARGEST:g}"
        )
    return targets


def measured(rows: Any, y: Any) -> tuple[Rows, Array, list[str]]:
    """Rows, targets (rows,) and keys in an order that depends only on their contents; rows have equal keys exactly when
    they make the same choices. Raises UserError as `as_rows` and `as_targets` do."""
    table = as_rows(rows)
    targets = as_targets(y, len(table))
    keys = [json.dumps(sorted(row.items())) for row in table]
    order = sorted(range(len(table)), key=lambda i: (keys[i], targets[i]))
    return table.at(order), targets[order], [keys[i] for i in order]


def evenly(num_rows: int, most: int) -> npt.NDArray[np.intp]:
    """Positions of at most `most` rows, evenly spaced."""
    return np.unique(np.linspace(0, num_rows - 1, most).astype(np.intp))


def _row(row: Any, i: int) -> Row:
    if not isinstance(row, Mapping):
        raise UserError(f"row {i} must be a dict of choices such as {{'width': 64}}, not {type(row).__name__}")
    made: Row = {}
    for name, given in row.items():
        value = given.item() if isinstance(given, np.generic) else given
        if value is None or (isinstance(value, float) and math.isnan(value)):
            continue
        if not isinstance(value, str | int | float) or (not isinstance(value, str) and not abs(value) <= LARGEST):
            raise UserError(f"row {i} has {name}={given!r}; a choice is a string or a number below {LARGEST:g}")
        made[str(name)] = value if isinstance(value, str) else float(value)
    return made

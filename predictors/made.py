"""Rows of choices as a matrix of which row makes which choice: what is said of a choice once holds in every row."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import NamedTuple

import numpy as np
from scipy import sparse

from predictors.rows import Array, Rows
from search_space import ChoiceMatrix


class Made(NamedTuple):
    """The different choices, by name and value, and a matrix (rows, choices) of 0 and 1."""

    choices: list[tuple[str, str | float]]
    matrix: sparse.csr_array

    @classmethod
    def of(cls, table: Rows | ChoiceMatrix) -> Made:
        if isinstance(table, ChoiceMatrix):
            return cls.of_matrix(table)
        index: dict[tuple[str, str | float], int] = {}
        for choice in chain.from_iterable(row.items() for row in table):
            index.setdefault(choice, len(index))
        columns = np.fromiter((index[choice] for row in table for choice in row.items()), dtype=np.intp)
        ends = np.cumsum([0, *map(len, table)])
        matrix = sparse.csr_array((np.ones(len(columns)), columns, ends), shape=(len(table), len(index)))
        return cls([*index], matrix)

    @classmethod
    def of_matrix(cls, table: ChoiceMatrix) -> Made:
        """The same from codes, without a look at single rows."""
        sizes = [len(options) for options in table.decisions.values()]
        firsts = np.cumsum([0, *sizes])[:-1]
        is_made = table.codes >= 0
        columns, ends = (firsts + table.codes)[is_made], np.cumsum([0, *is_made.sum(axis=1)])
        options = [(name, option) for name, options in table.decisions.items() for option in options]
        choices = [(name, option if isinstance(option, str) else float(option)) for name, option in options]
        matrix = sparse.csr_array((np.ones(len(columns)), columns, ends), shape=(len(table), len(choices)))
        return cls(choices, matrix)

    def tally(self, which: Callable[[str, str | float], bool]) -> Array:
        """How many such choices each row (rows,) makes."""
        return self.matrix @ np.array([which(*choice) for choice in self.choices], dtype=np.float64)

    def add_up(self, entries: list[tuple[int, int, float]], num_columns: int) -> Array:
        """(rows, columns): the sum over a row's choices of the amounts that `entries` (choice, column, amount) name."""
        choices, columns, amounts = np.array(entries, dtype=np.float64).reshape(-1, 3).T
        at = choices.astype(np.intp), columns.astype(np.intp)
        told = sparse.csr_array((amounts, at), shape=(len(self.choices), num_columns))
        return np.asarray((self.matrix @ told).todense())

"""ChoiceEncoder: dicts of choices as a numeric matrix that uses the positions in their names."""

from __future__ import annotations

from enum import IntEnum
from itertools import combinations, pairwise
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from predictors.links import NormalScores
from predictors.made import Made
from predictors.positions import Factor, Term, contains
from predictors.rows import Array, Rows, as_rows, as_table
from search_space import UserError


class Group(IntEnum):
    """What a column stands for; a predictor weighs each group by itself."""

    CHOICES = 0
    PRODUCTS = 1
    TOTALS = 2
    PRODUCT_TOTALS = 3
    SQUARES = 4
    SQUARE_TOTALS = 5
    SOURCES = 6
    """Predictions of the same rows on other devices or tasks; appended by a predictor, never by the encoder."""


TOTALS_OF = {
    Group.CHOICES: Group.TOTALS,
    Group.PRODUCTS: Group.PRODUCT_TOTALS,
    Group.SQUARES: Group.SQUARE_TOTALS,
}

FEW, MANY = 3, 12
"""Values of a number: from the first on its square says something new, and hardly any choice has the second."""


class Sums(NamedTuple):
    """Columns as sums over the choices of a row, but for products and the column `unseen`.

    columns: (choices, columns), and a constant (columns,). values: (choices, factors). `unseen` is the number of the
    column that holds the square root of num_always plus the sum of unknown (choices,).
    """

    columns: Array
    constant: Array
    values: Array
    unknown: Array
    num_always: int
    unseen: int


class ChoiceEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Rows of choices as a matrix (rows, columns), in six groups of columns.

    * choices: a numeric choice is one column, the training mean where it was not made, with a second column saying
      whether it was made if some training row lacks it; a named choice is one column of 0 and 1 per category.
      With `ranked`, numbers of more than MANY values are measurements, which have outliers, and not choices: they
      enter by the normal scores of their ranks among the training rows.
    * products of two choices at one position, or at a position and one containing it (a block's kernel size and its
      stage's width), when one of them is a number.
    * totals of the choices over all positions of one pattern: `stages.*.blocks.*.mixer=depthwise` counts the depthwise
      mixers of the network, `stages.0.blocks.*.mixer=depthwise` those of its first stage.
    * squares of numbers at a position, and their products with choices that meet them: a convolution costs the square
      of its stage's width, times what its block expands it by. Not of a number with fewer than FEW values or more than
      MANY, nor of one that a named choice at its position settles.
    * totals of the products, and of the squares, in the same way.

    A category or name never seen in training changes no column of its own, for nothing is known of its effect and a
    search must still be able to ask; nor does a missing choice that every training row made. Both count in the column
    `unseen` (square root of how many), so that a predictor can know that it knows less, and a choice at a new position
    counts in the totals of its pattern.

    Attributes after fitting: `groups_` (columns,), the Group of each column; `indicator_` (columns,), whether
    a column has a natural unit (0 and 1, and `unseen`).
    """

    def __init__(self, ranked: bool = False) -> None:
        self.ranked = ranked

    def fit(self, rows: Any, y: Any = None) -> Self:
        table = as_rows(rows)
        factors = {_factor(name, value) for row in table for name, value in row.items()}
        self.factors_ = sorted(factors, key=lambda factor: (factor.name, factor.category or ""))
        _refuse_mixed(self.factors_)
        self.index_ = {factor: i for i, factor in enumerate(self.factors_)}
        self.always_ = frozenset.intersection(*(frozenset(row) for row in table))
        self.terms_: list[Term] = [(factor,) for factor in self.factors_]
        values = self._values(Made.of(table))
        self.scores_ = _measurements(values) if self.ranked else {}
        self._rank(values)
        self.means_ = np.nanmean(values, axis=0)
        self.optional_ = np.flatnonzero(np.isnan(values).any(axis=0))
        self.products_ = self._to_multiply(np.nan_to_num(values), table)
        self.terms_ += [tuple(self.factors_[i] for i in product) for product in self.products_]
        self._total()
        own = len(self.factors_) + len(self.optional_) + 1
        products = [_group(term) for term in self.terms_[len(self.factors_) :]]
        totals = [TOTALS_OF[_group(term)] for term in self.totals_]
        self.groups_ = np.array([Group.CHOICES] * own + products + totals, dtype=np.intp)
        self.indicator_ = np.zeros(len(self.groups_), dtype=bool)
        self.indicator_[:own] = [f.category is not None for f in self.factors_] + [True] * (own - len(self.factors_))
        return self

    def transform(self, rows: Any) -> Array:
        """(rows, columns). Raises UserError when no name is known from the fit."""
        check_is_fitted(self)
        made = Made.of(as_table(rows))
        known = {factor.name for factor in self.factors_}
        if not any(name in known for name, _ in made.choices):
            raise UserError(f"the rows have no name in common with those of the fit, such as {self.factors_[0].name}")
        values = self._values(made)
        self._rank(values)
        absent = np.isnan(values)
        raw = np.nan_to_num(values)
        unseen = len(self.always_) + self._unknown(made)
        products = _products(raw, self.products_)
        totals = np.hstack([raw, products]) @ self.membership_ + self._new_positions(made)
        own = np.where(absent, self.means_, values)
        return np.hstack([own, ~absent[:, self.optional_], np.sqrt(unseen)[:, None], products, totals])

    def unnamed(self, rows: Any) -> npt.NDArray[np.bool_]:
        """Whether each row (rows,) makes a choice of a name that no training row had, or lacks one that all had."""
        check_is_fitted(self)
        made, known = Made.of(as_table(rows)), {factor.name for factor in self.factors_}
        unknown = made.tally(lambda name, _: name not in known)
        return np.asarray(unknown + len(self.always_) > made.tally(lambda name, _: name in self.always_))

    def sums(self, alone: Made) -> Sums:
        """What each choice alone adds to the columns, from rows that make one choice each; `forms` has the products."""
        values = self._values(alone)
        self._rank(values)
        chosen, raw = ~np.isnan(values), np.nan_to_num(values)
        numeric = np.array([factor.category is None for factor in self.factors_], dtype=bool)
        means = np.where(numeric, self.means_, 0.0)
        known = len(self.factors_)
        totals = raw @ self.membership_[:known] + self._new_positions(alone)
        blank = np.zeros((len(raw), 1 + len(self.products_)))
        columns = np.hstack([raw - chosen * means, chosen[:, self.optional_], blank, totals])
        return Sums(
            columns=columns,
            constant=np.concatenate([means, np.zeros(columns.shape[1] - known)]),
            values=raw,
            unknown=self._unknown(alone),
            num_always=len(self.always_),
            unseen=known + len(self.optional_),
        )

    def _unknown(self, made: Made) -> Array:
        """Choices that no training row made, less those of names that all had (rows,)."""
        unknown = made.tally(lambda name, value: _factor(name, value) not in self.index_)
        return unknown - made.tally(lambda name, _: name in self.always_)

    def forms(self, slopes: Array) -> tuple[Array, Array, Array | None]:
        """What `products` and their totals add to columns @ slopes for values (rows, factors), as matrices (factors,
        factors): of values times values, of values times squares of values, and the squares alone (factors,).
        """
        known, first = len(self.factors_), len(self.factors_) + len(self.optional_) + 1
        num = len(self.products_)
        weights = slopes[first : first + num] + self.membership_[known:] @ slopes[first + num :]
        pairs, cubes, squares = np.zeros((known, known)), np.zeros((known, known)), np.zeros(known)
        for product, weight in zip(self.products_, weights, strict=True):
            if len(product) == 3:
                cubes[product[2], product[0]] += weight
            elif product[0] == product[1]:
                squares[product[0]] += weight
            else:
                pairs[product] += weight
        return pairs, cubes, squares if squares.any() or cubes.any() else None

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """One name for each column: `a x b` is a product, a star stands for every position."""
        check_is_fitted(self)
        own = [factor.label for factor in self.factors_]
        made = [f"{own[i]} is made" for i in self.optional_]
        named = [" x ".join(factor.label for factor in term) for term in self.terms_ + self.totals_]
        return np.array([*own, *made, "unseen", *named[len(own) :]], dtype=object)

    def _values(self, made: Made) -> Array:
        """(rows, factors): 0 or 1 for a category, NaN for a number that was not chosen."""
        at = [self.index_.get(_factor(*choice), -1) for choice in made.choices]
        known = [(i, j, value) for i, (j, (_, value)) in enumerate(zip(at, made.choices, strict=True)) if j >= 0]
        amounts = [(i, j, 1.0 if isinstance(value, str) else value) for i, j, value in known]
        values = made.add_up(amounts, len(self.factors_))
        absent = made.add_up([(i, j, 1.0) for i, j, _ in known], len(self.factors_)) == 0
        values[absent & np.array([factor.category is None for factor in self.factors_], dtype=bool)] = np.nan
        return values

    def _rank(self, values: Array) -> None:
        """Bring measurements to the scale of their ranks, in place."""
        for j, scores in self.scores_.items():
            chosen = ~np.isnan(values[:, j])
            values[chosen, j] = scores.forward(values[chosen, j])

    def _to_multiply(self, values: Array, table: Rows) -> list[tuple[int, ...]]:
        """Factors whose product is worth a column: pairs, squares, and squares times one more."""
        by_place: dict[str, list[int]] = {}
        for i, factor in enumerate(self.factors_):
            by_place.setdefault(factor.place, []).append(i)
        pairs = [(i, j) for i, j in self._meetings(by_place) if np.ptp(values[:, i] * values[:, j]) > 0]
        squared = [i for place, own in by_place.items() if place for i in self._to_square(own, table)]
        both_ways = [ordered for i, j in pairs for ordered in ((i, j), (j, i))]
        return [*pairs, *((i, i) for i in squared), *((i, i, j) for i, j in both_ways if i in squared)]

    def _meetings(self, by_place: dict[str, list[int]]) -> list[tuple[int, int]]:
        """Pairs of factors whose product is worth a column, the one at the inner place first."""
        pairs = [pair for own in by_place.values() for pair in combinations(own, 2)]
        for inner, own in by_place.items():
            around = [j for outer, others in by_place.items() if contains(outer, inner) for j in others]
            pairs += [(i, j) for i in own for j in around]
        return [(i, j) for i, j in pairs if self.factors_[i].meets(self.factors_[j])]

    def _to_square(self, own: list[int], table: Rows) -> list[int]:
        """Which of the factors at one place are numbers of several values that no named choice there settles."""
        names = {self.factors_[i].name for i in own if self.factors_[i].category is not None}
        chosen = {name: [row.get(name) for row in table] for name in names}

        def free(number: str) -> bool:
            levels = [row.get(number) for row in table]
            settled = any(len(set(zip(named, levels, strict=True))) == len(set(named)) for named in chosen.values())
            return FEW <= len(set(levels) - {None}) <= MANY and not settled

        return [i for i in own if self.factors_[i].category is None and free(self.factors_[i].name)]

    def _total(self) -> None:
        """Which terms add up to which total: a total has at least two terms and is not the same as an earlier one."""
        patterns: dict[Term, list[int]] = {}
        for t, term in enumerate(self.terms_):
            for level in range(max(factor.depth for factor in term)):
                patterns.setdefault(tuple(factor.starred(level) for factor in term), []).append(t)
        members: dict[tuple[int, ...], Term] = {}
        for pattern, terms in patterns.items():
            if len(terms) > 1:
                members.setdefault(tuple(terms), pattern)
        ordered = sorted(members.items(), key=lambda item: len(item[1]))
        self.totals_ = [pattern for _, pattern in ordered]
        self.total_index_ = {pattern: t for t, pattern in enumerate(self.totals_)}
        entries = [(term, t) for t, (terms, _) in enumerate(ordered) for term in terms]
        at = np.array(entries, dtype=np.intp).reshape(-1, 2).T
        shape = (len(self.terms_), len(ordered))
        self.membership_ = sparse.csr_array((np.ones(len(entries)), (at[0], at[1])), shape=shape)

    def _new_positions(self, made: Made) -> Array:
        """What choices at positions unknown from training add to the totals of their patterns."""
        added = []
        for i, (name, value) in enumerate(made.choices):
            factor = _factor(name, value)
            if factor not in self.index_:
                totals = (self.total_index_.get((factor.starred(level),)) for level in range(factor.depth))
                amount = 1.0 if isinstance(value, str) else value
                added += [(i, total, amount) for total in totals if total is not None]
        return made.add_up(added, len(self.totals_))


def _measurements(values: Array) -> dict[int, NormalScores]:
    """The scale of each column (rows, columns) of more than MANY values; NaN is none."""
    columns = {j: values[~np.isnan(values[:, j]), j] for j in range(values.shape[1])}
    return {j: NormalScores().fit(column) for j, column in columns.items() if len(np.unique(column)) > MANY}


def _factor(name: str, value: str | float) -> Factor:
    return Factor(name, value) if isinstance(value, str) else Factor(name)


def _products(values: Array, products: list[tuple[int, ...]]) -> Array:
    """(rows, products) of the columns of `values` that each names."""
    padded = np.hstack([values, np.ones((len(values), 1))])
    at = np.array([(*product, -1)[:3] for product in products], dtype=np.intp).reshape(-1, 3).T
    return padded[:, at[0]] * padded[:, at[1]] * padded[:, at[2]]


def _group(term: Term) -> Group:
    if len(term) == 1:
        return Group.CHOICES
    return Group.PRODUCTS if len(set(term)) == len(term) else Group.SQUARES


def _refuse_mixed(factors: list[Factor]) -> None:
    if not factors:
        raise UserError("the rows make no choice at all; give dicts such as {'width': 64, 'mixer': 'pooling'}")
    for a, b in pairwise(factors):
        if a.name == b.name and (a.category is None) != (b.category is None):
            raise UserError(f"{a.name} is a number in some rows and a string in others; write it one way")

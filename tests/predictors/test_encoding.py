"""Choices become columns that can be read back from their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from predictors import ChoiceEncoder
from predictors.encoding import Group
from search_space import UserError

OPERATORS = ("conv", "pool", "none")


def column(encoder: ChoiceEncoder, rows: list[dict[str, Any]], name: str) -> list[float]:
    (place,) = np.flatnonzero(encoder.get_feature_names_out() == name)
    return list(encoder.transform(rows)[:, place])


def test_numbers_stay_categories_become_indicators_and_absence_is_told() -> None:
    rows = [{"width": 16, "mixer": "a"}, {"width": 32, "mixer": "b", "kernel_size": 5}, {"width": 8, "mixer": "a"}]
    rows[0]["kernel_size"] = 3
    encoder = ChoiceEncoder().fit(rows)
    assert column(encoder, rows, "width") == [16, 32, 8]
    assert column(encoder, rows, "mixer=a") == [1, 0, 1]
    assert column(encoder, rows, "kernel_size") == [3, 5, 4]
    assert column(encoder, rows, "kernel_size is made") == [1, 1, 0]


def test_a_product_is_formed_only_where_choices_meet(draw_rows: Callable[..., Any]) -> None:
    rows = draw_rows(60, 0)
    encoder = ChoiceEncoder().fit(rows)
    names = [name for name in encoder.get_feature_names_out() if " x " in name]
    kernel, stage = "stages.1.blocks.0.mixer.depthwise.kernel_size", "stages.1"
    product = [row.get(kernel, 0) * row[f"{stage}.width"] for row in rows]
    assert column(encoder, rows, f"{kernel} x {stage}.width") == product
    assert not [name for name in names if "stages.0" in name and "stages.1" in name]
    blocks = [{factor.split(".mixer")[0] for factor in name.split(" x ") if "blocks." in factor} for name in names]
    assert max(map(len, blocks)) == 1


def test_numbers_at_positions_are_squared_alone_and_times_what_they_meet(draw_rows: Callable[..., Any]) -> None:
    rows = draw_rows(60, 0)
    for i, row in enumerate(rows):
        row |= {"resolution": 96 + 32 * (i % 4), "stages.1.stride": 1 + i % 2}
        row |= {"stages.1.op": OPERATORS[i % 3], "stages.1.op_cost": i % 3}
    encoder = ChoiceEncoder().fit(rows)
    names = list(encoder.get_feature_names_out())
    width, kernel = "stages.1.width", "stages.1.blocks.0.mixer.depthwise.kernel_size"
    squares = np.array([row[width] ** 2 for row in rows])
    counts = [sum(v == "pooling" for k, v in row.items() if k.startswith("stages.1")) for row in rows]
    assert column(encoder, rows, f"{width} x {width}") == list(squares)
    assert column(encoder, rows, f"{width} x {width} x {kernel}") == [
        square * row.get(kernel, 0) for square, row in zip(squares, rows, strict=True)
    ]
    assert column(encoder, rows, f"{width} x {width} x stages.1.blocks.*.mixer=pooling") == list(squares * counts)
    assert f"{width} x {width} x stages.1.op=conv" in names
    for lone in (
        "resolution",
        "stages.1.stride",
        "stages.1.op_cost",
    ):  # no position, two values, settled by the operator
        assert any(lone in name.split(" x ") for name in names)
        assert not any(name.split(" x ").count(lone) == 2 for name in names)


@given(st.lists(st.lists(st.sampled_from(OPERATORS), min_size=4, max_size=4), min_size=2, max_size=12))
def test_totals_count_over_positions(chosen: list[list[str]]) -> None:
    rows = [{f"op{i}": operator for i, operator in enumerate(row)} for row in chosen]
    encoder = ChoiceEncoder().fit(rows)
    names = list(encoder.get_feature_names_out())
    for operator in OPERATORS:
        if f"op*={operator}" in names:
            assert column(encoder, rows, f"op*={operator}") == [row.count(operator) for row in chosen]


def test_totals_are_taken_at_every_level(draw_rows: Callable[..., Any]) -> None:
    rows = draw_rows(60, 0)
    encoder = ChoiceEncoder().fit(rows)
    for pattern, inside in (("stages.*.blocks.*", "stages."), ("stages.1.blocks.*", "stages.1.")):
        counts = [sum(v == "pooling" for k, v in row.items() if k.startswith(inside)) for row in rows]
        assert column(encoder, rows, f"{pattern}.mixer=pooling") == counts


def test_order_of_rows_and_names_is_irrelevant(draw_rows: Callable[..., Any]) -> None:
    rows = draw_rows(30, 1)
    turned = [dict(reversed(row.items())) for row in reversed(rows)]
    first, second = ChoiceEncoder().fit(rows), ChoiceEncoder().fit(turned)
    np.testing.assert_array_equal(first.get_feature_names_out(), second.get_feature_names_out())
    np.testing.assert_array_equal(first.transform(rows), second.transform(rows))


def test_the_unseen_changes_no_column_of_its_own_but_counts() -> None:
    rows = [{"op0": "conv", "op1": "pool", "width": 8}, {"op0": "pool", "op1": "conv", "width": 16}]
    encoder = ChoiceEncoder().fit(rows)
    asked: list[dict[str, Any]] = [
        {"op0": "conv", "op1": "pool", "width": 8},
        {"op0": "conv", "op1": "dilated", "width": 8},
        {"op0": "conv", "op1": "pool", "op2": "conv", "op3": "conv", "op4": "conv", "op5": "conv", "width": 8},
        {"op0": "conv", "op1": "pool"},
    ]
    assert column(encoder, asked, "unseen") == [0, 1, 2, 1]
    assert column(encoder, asked, "op1=pool") == [1, 0, 1, 1]
    assert column(encoder, asked, "op*=conv") == [1, 1, 5, 1]
    assert column(encoder, asked, "width") == [8, 8, 8, 12]


def test_a_data_frame_is_the_same_as_its_dicts(draw_rows: Callable[..., Any]) -> None:
    pandas = pytest.importorskip("pandas")
    rows = draw_rows(20, 2)
    encoder = ChoiceEncoder().fit(rows)
    np.testing.assert_array_equal(encoder.transform(pandas.DataFrame(rows)), encoder.transform(rows))
    frame = ChoiceEncoder().fit(pandas.DataFrame(rows))
    with pytest.raises(UserError, match="two columns 'width'"):
        ChoiceEncoder().fit(pandas.DataFrame([[8, 3], [16, 5]], columns=["width", "width"]))
    np.testing.assert_array_equal(frame.get_feature_names_out(), encoder.get_feature_names_out())


def test_every_column_has_a_name_and_a_group(draw_rows: Callable[..., Any]) -> None:
    rows = draw_rows(40, 3)
    encoder = clone(ChoiceEncoder()).fit(rows)
    names = encoder.get_feature_names_out()
    assert len(set(names)) == len(names) == len(encoder.groups_) == len(encoder.indicator_)
    assert encoder.transform(rows).shape == (40, len(names))
    for name, group in zip(names, encoder.groups_, strict=True):
        factors = name.split(" x ")
        kind = "SQUARE" if len(set(factors)) < len(factors) else "PRODUCT" if len(factors) == 2 else "CHOICE"
        assert Group(group).name == (f"{kind}_TOTALS" if "*" in name else f"{kind}S").removeprefix("CHOICE_")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "no rows"),
        ("mixer", "list of dicts"),
        ([{"width": 8}, 3], "row 1 must be a dict"),
        ([{"width": [8]}], r"row 0 has width=\[8\]"),
        ([{"width": float("inf")}], r"below 1e\+50"),
        ([{"width": 1e300}], r"below 1e\+50"),
        ([{"width": None}], "no choice at all"),
        ([{"width": 8}, {"width": "wide"}], "width is a number in some rows"),
    ],
)
def test_rows_that_cannot_be_meant(rows: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        ChoiceEncoder().fit(rows)


def test_rows_of_another_table_are_refused() -> None:
    with pytest.raises(UserError, match="no name in common"):
        ChoiceEncoder().fit([{"width": 8}]).transform([{"wdith": 8}])


def test_measurements_enter_by_their_ranks_where_asked_and_choices_do_not() -> None:
    generator = np.random.default_rng(0)
    rows = [
        {"width": int(w), "jacov": float(10**j)} for w, j in zip(generator.choice([8, 16], 40), range(40), strict=True)
    ]
    plain, ranked = ChoiceEncoder().fit(rows), ChoiceEncoder(ranked=True).fit(rows)
    at = [*plain.get_feature_names_out()].index("jacov")
    np.testing.assert_array_equal(plain.transform(rows)[:, at], [row["jacov"] for row in rows])
    scores = ranked.transform([*rows, {"width": 8, "jacov": 1e45}, {"width": 8, "jacov": -5.0}])[:, at]
    assert np.all(np.diff(scores[:40]) > 0)
    assert scores[:40] == pytest.approx(-scores[39::-1])
    assert (scores[40], scores[41]) == (scores[39], scores[0])
    width = [*ranked.get_feature_names_out()].index("width")
    np.testing.assert_array_equal(ranked.transform(rows)[:, width], [row["width"] for row in rows])

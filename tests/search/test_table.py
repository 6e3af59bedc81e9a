"""A finished table as a problem: its rows are the space, for every algorithm."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import search
from search_space import UserError
from tests.search.conftest import EVERY


def full() -> list[dict[str, Any]]:
    """Every combination of three features, with a cost and a quality that goes against it."""
    return [
        {"kind": kind, "width": w, "depth": d, "ms": w * d * factor, "quality": w**0.5 + d + luck}
        for kind, factor, luck in (("a", 0.1, 0.0), ("b", 0.15, 0.4), ("c", 0.3, 0.1))
        for w in (8, 16, 32, 64)
        for d in (1, 2, 3)
    ]


FEATURES = ["kind", "width", "depth"]


def problem(rows: Any, **changes: Any) -> search.TableProblem:
    return search.TableProblem(rows, **{"features": FEATURES, "minimize": "ms", "maximize": "quality", **changes})


@pytest.mark.parametrize("algorithm", EVERY)
@pytest.mark.parametrize("keep", [1, 3])
def test_every_row_is_evaluated_once_and_then_it_ends(algorithm: str, keep: int) -> None:
    """With a third of the rows, most combinations of features are in no row: children of rows still are rows."""
    table = full()[::keep]
    rows = search.run(problem(table), algorithm=algorithm, trials=1000, seed=1)
    assert sorted(map(str, rows)) == sorted(map(str, table))


@pytest.mark.parametrize("algorithm", EVERY)
def test_a_seed_repeats_itself_and_fewer_trials_are_the_first_of_more(algorithm: str) -> None:
    first = search.run(problem(full()), algorithm=algorithm, trials=20, seed=3)
    assert first == search.run(problem(full()), algorithm=algorithm, trials=20, seed=3)
    assert first[:15] == search.run(problem(full()), algorithm=algorithm, trials=15, seed=3)
    assert first != search.run(problem(full()), algorithm=algorithm, trials=20, seed=4)


def test_what_the_table_lacks_stands_for_its_nearest_row() -> None:
    table = [row for row in full() if (row["kind"], row["width"]) != ("b", 16)]
    space = problem(table).space
    wanted: dict[str, Any] = {"kind": "b", "width": 16, "depth": 2}
    built = space.build(lambda name, _: wanted[name]).flat()
    assert built in ({**wanted, "width": 8}, {**wanted, "width": 32})
    for row in table:
        assert space.build(lambda name, _, row=row: row[name]).flat() == {name: row[name] for name in FEATURES}


def test_guided_finds_the_best_within_a_limit_long_before_chance_does() -> None:
    generator = np.random.default_rng(0)
    names = [f"d{i}" for i in range(6)]
    choices = generator.integers(0, 5, size=(4000, 6))
    table = [
        {**dict(zip(names, map(int, row), strict=True)), "ms": 1.0 + float(row @ [3, 1, 2, 1, 4, 2]),
         "quality": float(row @ [2, 3, 1, 2, 3, 1]) - 0.5 * abs(int(row[0]) - int(row[4]))}
        for row in np.unique(choices, axis=0)
    ]  # fmt: skip
    made = search.TableProblem(table, features=names, maximize="quality", at_most={"ms": 20.0})
    best = max(row["quality"] for row in table if row["ms"] <= 20)
    found = [max(row["quality"] for row in search.run(made, trials=40, seed=s) if row["ms"] <= 20) for s in range(3)]
    assert min(found) >= best - 0.5
    chance = [
        max(row["quality"] for row in search.run(made, algorithm="random", trials=40, seed=s) if row["ms"] <= 20)
        for s in range(3)
    ]
    assert np.mean(chance) < best - 2


@pytest.mark.parametrize("kind", ["list", "arrow", "pandas"])
def test_tables_of_every_kind_give_the_same_rows(kind: str) -> None:
    table: Any = full()
    if kind == "arrow":
        table = pa.Table.from_pylist(table)
    if kind == "pandas":
        table = pytest.importorskip("pandas").DataFrame(table)
    assert search.run(problem(table), trials=10) == search.run(problem(full()), trials=10)


def test_rows_without_a_number_and_repeated_ones_are_no_candidates() -> None:
    table = full()
    table[3]["ms"] = None
    table[4]["quality"] = float("nan")
    made = problem([*table, dict(table[0], ms=99.0)])
    assert (made.space.size, made.num_left_out) == (len(table) - 2, 3)
    assert table[0] in search.run(made, algorithm="random", trials=100)


def test_an_empty_cell_is_a_choice_that_was_not_made() -> None:
    table = full()
    for row in table:
        if row["depth"] == 1:
            row["width"] = None
    table = list({(row["kind"], row["width"], row["depth"]): row for row in table}.values())
    rows = search.run(problem(table), trials=100)
    assert sorted(map(str, rows)) == sorted(map(str, table))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": []}, "features is empty"),
        ({"features": ["kind", "colour"]}, "no column 'colour'; it has kind, width, depth, ms, quality"),
        ({"minimize": (), "maximize": ()}, "neither minimize nor maximize"),
        ({"minimize": "kind"}, "kind is both a feature and a measurement"),
        ({"minimize": "ms", "maximize": "ms"}, "ms is named twice"),
        ({"at_most": {"ms": float("nan")}}, "the bound nan of ms must be a finite number"),
        (
            {"features": ["width", "depth"], "minimize": "kind"},
            "kind is 'a' in row 0; objectives and bounds need numbers",
        ),
    ],
)
def test_columns_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        problem(full(), **changes)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("nb201.parquet", "must be a pyarrow Table, a DataFrame or a list of dicts, not str"),
        ([], "the table has no rows"),
        ([{**row, "ms": None} for row in full()], "no row of the table has a number in each of quality, ms"),
        ([{**row, "width": "wide" if i else 8} for i, row in enumerate(full())], "width is a number in some rows"),
    ],
)
def test_tables_that_make_no_sense_are_refused(table: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        problem(table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "annealing"}, "'annealing' is unknown; choose among guided"),
        ({"trials": 0}, "trials=0 must be a whole number, at least 1"),
        ({"seed": -1}, "seed=-1 must be a whole number, 0 or more"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        search.run(problem(full()), **options)


def test_neither_torch_nor_ray_is_needed() -> None:
    program = f"""
import sys
import search
rows = {full()!r}
problem = search.TableProblem(rows, features={FEATURES}, minimize="ms", maximize="quality")
assert len(search.run(problem, trials=20)) == 20
assert not {{"torch", "ray"}} & {{*sys.modules}}
"""
    subprocess.run([sys.executable, "-c", program], check=True)

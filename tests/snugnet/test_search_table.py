"""`snugnet search --table`: what a user types, reads, and reads when it goes wrong."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.journey import run_cli
from tests.search.test_table import full
from tests.snugnet.test_bad_input import refused


@pytest.fixture
def table(tmp_path: Path) -> str:
    pq.write_table(pa.Table.from_pylist([*full(), full()[0]]), tmp_path / "table.parquet")
    return str(tmp_path / "table.parquet")


FEATURES = ("--features", "kind", "width", "depth")
BOTH = (*FEATURES, "--minimize", "ms", "--maximize", "quality")


def test_a_front_with_the_share_of_the_true_one(table: str) -> None:
    status, text, err = run_cli("search", "--table", table, *BOTH, "--trials", "30", "--seed", "1")
    assert status == 0, err
    lines = text.splitlines()
    assert lines[0].startswith(
        "36 candidates (1 rows left out: repeated features, or no number); guided, 30 evaluated in"
    )
    assert lines[1].split() == ["trial", "quality", "ms"]
    assert lines[-1].startswith("share of the true front's hypervolume: ")
    assert "after 25, " in lines[-1] and " after 30 (reference point quality " in lines[-1]
    found = json.loads(run_cli("search", "--table", table, *BOTH, "--trials", "36", "--json")[1])
    assert found["hypervolume_share"]["36"] == 1.0
    assert [row["trial"] for row in found["rows"]] == list(range(36))
    front = found["front"]
    assert all(a["quality"] > b["quality"] and a["ms"] > b["ms"] for a, b in pairwise(front))


def test_one_objective_within_limits_says_how_far_it_is_from_the_best(table: str) -> None:
    options = ("--maximize", "quality", "--at-most", "ms=8", "--at-least", "depth_=1", "--trials", "36")
    assert run_cli("search", "--table", table, *FEATURES, *options)[0] == 2
    options = ("--maximize", "quality", "--at-most", "ms=8", "--trials", "36", "--algorithm", "random")
    status, text, err = run_cli("search", "--table", table, *FEATURES, *options)
    assert status == 0, err
    assert text.splitlines()[-1].endswith(" 0 after 36")
    assert text.splitlines()[-1].startswith("worse than the table's best by ")
    best = max((row for row in full() if row["ms"] <= 8), key=lambda row: row["quality"])
    assert f"{best['quality']:.6g}" in text


def test_limits_that_nothing_meets_name_the_nearest(table: str) -> None:
    status, text, _ = run_cli("search", "--table", table, *BOTH, "--at-most", "ms=0.4", "--trials", "36")
    assert status == 0
    assert text.splitlines()[-1].startswith("none of them is feasible; the nearest, trial ")
    assert text.splitlines()[-1].endswith("misses ms <= 0.4 by 100%")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "features is empty; name the columns"),
        (FEATURES, "neither minimize nor maximize names a column"),
        ((*BOTH, "--at-most", "ms"), "--at-most ms must be a column, = and a number, such as latency_ms=5"),
        ((*BOTH, "--at-most", "ms=1", "--at-most", "ms=2"), "--at-most names ms twice"),
        ((*BOTH, "--at-most", "kg=1"), "the table has no column 'kg'; it has kind, width"),
        ((*BOTH, "--algorithm", "annealing"), "'annealing' is unknown; choose among guided"),
    ],
)
def test_options_that_make_no_sense_are_refused(table: str, options: tuple[str, ...], message: str) -> None:
    refused("search", "--table", table, *options, message=message)


def test_options_of_a_table_go_with_a_table_only(table: str) -> None:
    refused("search", message="give the folder of a run, or --table FILE with --features and what to optimise")
    refused("search", "runs/digits", *BOTH, message="--features (kind) goes with --table only")
    refused("search", "runs/digits", "--seed", "1", message="--seed (1) goes with --table only")
    refused("search", "--table", "nothing.parquet", *BOTH, message="nothing.parquet does not exist")

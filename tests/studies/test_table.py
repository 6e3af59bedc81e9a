"""Tables: what append returned for is read back once, whatever is killed, merged or written beside it."""

from __future__ import annotations

import errno
import os
import runpy
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import studies.table
from search_space import UserError
from studies import Column, Schema, Table
from studies.part import write_part

TRIAL = Column("trial", "int", "number", unit="count")
SPLIT = Column("split", "string", "of the data")
LOSS = Column("loss_nats", "float", "on the split", nullable=True)
SCHEMA = Schema((TRIAL, SPLIT, LOSS), key=("split", "trial"))

KEYS = st.tuples(st.integers(0, 5), st.sampled_from(["train", "test"]))
ROWS = st.lists(st.builds(lambda key, loss: dict(zip(SCHEMA.names, (*key, loss), strict=True)), KEYS, st.floats(0, 9)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(ROWS, st.just("compact"), st.just("reopen"))))
def test_a_table_is_a_dictionary_that_keeps_the_first(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[dict[str, int | str | float]] | str]
) -> None:
    folder = tmp_path_factory.mktemp("table")
    table = Table(folder, SCHEMA)
    model: dict[tuple[object, ...], dict[str, int | str | float]] = {}
    for step in steps:
        if step == "compact":
            table.compact()
        elif step == "reopen":
            table = Table(folder, SCHEMA)
        elif isinstance(step, list):
            table.append(step)
            for row in step:
                model.setdefault((row["split"], row["trial"]), row)
        assert table.rows() == [model[key] for key in sorted(model)]
        assert len(table) == len(model)


def test_a_folder_that_does_not_exist_is_an_empty_table(tmp_path: Path) -> None:
    table = Table(tmp_path / "none", SCHEMA)
    assert table.read().schema.equals(SCHEMA.arrow, check_metadata=True)
    table.append([])
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file; a table is a folder"):
        Table(tmp_path / "file", SCHEMA)


def test_many_appends_leave_few_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studies.table, "COMPACT_AT", 8)
    table = Table(tmp_path, SCHEMA)
    for trial in range(30):
        table.append([{"trial": trial, "split": "test"}])
    assert len(list(tmp_path.glob("*.parquet"))) < 8
    assert table.read()["trial"].to_pylist() == list(range(30))


@pytest.mark.parametrize("survivors", range(4))
def test_a_crash_while_merging_shows_no_row_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survivors: int
) -> None:
    table = Table(tmp_path, SCHEMA)
    for trial in (2, 0, 1, 0):
        table.append([{"trial": trial, "split": "test", "loss_nats": float(len(table))}])
    before = table.rows()
    remove, removed = Path.unlink, iter(range(4))

    def crash(path: Path) -> None:
        if next(removed) == survivors:
            raise InterruptedError
        remove(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", crash)
        with pytest.raises(InterruptedError):
            table.compact()
    assert len(list(tmp_path.glob("*.parquet"))) == 5 - survivors
    assert Table(tmp_path, SCHEMA).rows() == before
    table.compact()
    assert Table(tmp_path, SCHEMA).rows() == before


@pytest.mark.parametrize("moment", ["while writing", "before the name"])
def test_a_crash_while_appending_leaves_the_table_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    table = Table(tmp_path, SCHEMA)
    table.append([{"trial": 0, "split": "test"}])

    def write_half(rows: pa.Table, file: IO[bytes]) -> None:
        file.write(b"PAR1 and no more")
        file.flush()
        crash()

    def crash(*_: object) -> None:
        assert Table(tmp_path, SCHEMA).read()["trial"].to_pylist() == [0], "another reader sees nothing yet"
        raise InterruptedError

    with monkeypatch.context() as patch:
        if moment == "while writing":
            patch.setattr("pyarrow.parquet.write_table", write_half)
        else:
            patch.setattr("os.fsync", crash)
        with pytest.raises(InterruptedError):
            table.append([{"trial": 1, "split": "test"}])
    assert table.read()["trial"].to_pylist() == [0]
    table.append([{"trial": 2, "split": "test"}])
    assert table.read()["trial"].to_pylist() == [0, 2]


def test_killed_writers_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    folder, writer = tmp_path / "trials", Path(__file__).with_name("append_forever.py")
    written = runpy.run_path(str(writer))
    schema, row = written["SCHEMA"], written["row"]
    generator = np.random.default_rng(0)
    table = Table(folder, schema)
    promised = -1
    for _ in range(4):
        first = len(table)
        with subprocess.Popen(
            [sys.executable, str(writer), str(folder), str(first)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == f"{first}\n"
            end = time.monotonic() + generator.uniform(0, 0.3)
            while time.monotonic() < end:
                read = table.read()["trial"].to_pylist()
                assert read == list(range(len(read))), "a reader beside the writer sees whole rows, each once"
            process.kill()
            promised = max([first, *map(int, process.stdout.read().split())])
        assert table.rows() == [row(trial) for trial in range(len(table))]
        assert promised < len(table) <= promised + 2
    (folder / "99999999.tmp").write_bytes(b"half a part")
    assert table.rows() == [row(trial) for trial in range(len(table))]
    Table(folder, schema).append([row(len(table))])
    assert not list(folder.glob("*.tmp"))


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studies.table, "COMPACT_AT", 5)

    def write(start: int) -> None:
        table = Table(tmp_path, SCHEMA)
        for trial in range(start, start + 10):
            table.append([{"trial": trial, "split": "test"}])

    writers = [threading.Thread(target=write, args=(start,)) for start in (0, 10, 20)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert Table(tmp_path, SCHEMA).read()["trial"].to_pylist() == list(range(30))


@pytest.mark.parametrize("damage", [lambda b: b[:-20], lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[::-1]])
def test_a_damaged_part_is_named(tmp_path: Path, damage: type[bytes]) -> None:
    table = Table(tmp_path, SCHEMA)
    table.append([{"trial": 0, "split": "test"}])
    part = tmp_path / "00000000.parquet"
    part.write_bytes(damage(part.read_bytes()))
    for use in (table.read, Table(tmp_path, SCHEMA).compact):
        with pytest.raises(UserError, match=r"00000000\.parquet is damaged .*; restore it from a copy") as refused:
            use()
        assert "\n" not in str(refused.value)


def test_a_foreign_part_is_named(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"trial": [1]}), tmp_path / "00000000.parquet")
    with pytest.raises(UserError, match=r"00000000\.parquet is no part of this table"):
        Table(tmp_path, SCHEMA).read()


def test_a_newer_schema_may_add_nullable_columns(tmp_path: Path) -> None:
    Table(tmp_path, SCHEMA).append([{"trial": 0, "split": "test", "loss_nats": 1.0}])
    energy = Column("energy_mj", "float", "of one image", nullable=True)
    newer = Table(tmp_path, Schema((energy, *SCHEMA.columns), SCHEMA.key))
    newer.append([{"trial": 1, "split": "test", "energy_mj": 2.0}])
    newer.compact()
    assert newer.rows() == [
        {"energy_mj": None, "trial": 0, "split": "test", "loss_nats": 1.0},
        {"energy_mj": 2.0, "trial": 1, "split": "test", "loss_nats": None},
    ]
    with pytest.raises(UserError, match="has column 'energy_mj', which this version does not know"):
        Table(tmp_path, SCHEMA).read()


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (Schema((*SCHEMA.columns, replace(TRIAL, name="seed")), SCHEMA.key), "lacks column 'seed'"),
        (Schema((TRIAL, SPLIT), SCHEMA.key), "has column 'loss_nats'"),
        (Schema((TRIAL, SPLIT, replace(LOSS, kind="int")), SCHEMA.key), "as float nats or null, not as int nats"),
        (Schema((TRIAL, SPLIT, replace(LOSS, nullable=False)), SCHEMA.key), "not as float nats;"),
        (Schema((replace(TRIAL, unit="index"), SPLIT, LOSS), SCHEMA.key), "as int count, not as int index"),
        (Schema(SCHEMA.columns, ("trial",)), "keyed by split, trial, not by trial"),
    ],
)
def test_any_other_schema_is_refused_before_anything_is_written(tmp_path: Path, schema: Schema, message: str) -> None:
    Table(tmp_path, SCHEMA).append([{"trial": 0, "split": "test"}])
    rows = [{"trial": 1, "split": "test", "seed": 1, "loss_nats": 1}]
    with pytest.raises(UserError, match=message):
        Table(tmp_path, schema).append([{name: row[name] for name in schema.names} for row in rows])
    with pytest.raises(UserError, match=message):
        Table(tmp_path, schema).read()
    assert len(list(tmp_path.glob("*.parquet"))) == 1


def test_a_full_disk_is_said_with_the_file_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("studies.part.pq.write_table", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_part(tmp_path / "rows.parquet", pa.table({"x": [1]}))
    assert caught.value.filename == str(tmp_path / "rows.parquet")
    assert not list(tmp_path.iterdir())

"""read_table: four kinds of path give the same rows; anything else is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from search_space import UserError
from studies import Column, Schema, Table, read_table

ROWS = pa.table({"width": [1, 2, 3], "loss_nats": [2.5, 1.5, None]})


@pytest.fixture
def written(tmp_path: Path) -> Path:
    pq.write_table(ROWS, tmp_path / "rows.parquet")
    pa.csv.write_csv(ROWS, tmp_path / "rows.csv")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS.to_pylist()))
    (tmp_path / "parts").mkdir()
    pq.write_table(ROWS[:1], tmp_path / "parts/a.parquet")
    pq.write_table(ROWS[1:].select(["loss_nats", "width"]), tmp_path / "parts/b.parquet")
    return tmp_path


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv", "rows.jsonl", "parts"])
def test_every_kind_gives_the_same_rows(written: Path, name: str) -> None:
    assert read_table(written / name).to_pylist() == ROWS.to_pylist()


def test_a_table_is_read_by_its_own_rules(tmp_path: Path) -> None:
    schema = Schema((Column("trial", "int", "number", unit="count"),), key=("trial",))
    for trial in (3, 1, 3):
        Table(tmp_path, schema).append([{"trial": trial}])
    assert read_table(tmp_path)["trial"].to_pylist() == [1, 3]


def test_a_late_fraction_among_whole_numbers_is_read(tmp_path: Path) -> None:
    for name, line in (("rows.csv", "{}"), ("rows.jsonl", '{{"x": {}}}')):
        lines = [line.format(value) for value in [*range(200_000), 0.5]]
        (tmp_path / name).write_text("\n".join(["x"] * name.endswith("csv") + lines))
        assert read_table(tmp_path / name)["x"][-1].as_py() == 0.5


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.csv", None, "does not exist; give a file ending in .parquet, .csv, .jsonl, or a folder"),
        ("rows.xlsx", b"1", "ends in '.xlsx'; give a file ending in"),
        ("rows.csv", b"", "is empty"),
        ("rows.csv", b"a,b\n", "has no rows"),
        ("rows.csv", b"a,b\n1,2\n3\n", "cannot be read as .csv: CSV parse error"),
        ("rows.csv", b"a,a\n1,2\n", "names a column twice"),
        ("rows.csv", "n\u00e4me,b\n1,2\n".encode("latin-1"), "cannot be read as .csv: 'utf-8' codec"),
        ("rows.jsonl", b'{"a": 1}\n{"a": \n', "cannot be read as .jsonl"),
        ("rows.parquet", b"PAR1 not really PAR1", "rows.parquet is damaged"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as refused:
        read_table(tmp_path / name)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_folders_without_parts_or_with_parts_that_differ_are_refused(written: Path) -> None:
    (written / "empty").mkdir()
    with pytest.raises(UserError, match=r"holds no \.parquet file"):
        read_table(written / "empty")
    pq.write_table(pa.table({"width": ["wide"]}), written / "parts/c.parquet")
    with pytest.raises(UserError, match="do not fit together"):
        read_table(written / "parts")

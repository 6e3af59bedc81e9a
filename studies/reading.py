"""read_table: a user's table from Parquet, a folder of Parquet parts, CSV or JSON lines, by the path's ending."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.json

from search_space import UserError
from studies.part import read_parquet
from studies.schema import Schema, is_ours
from studies.table import Table

READERS = {".parquet": read_parquet, ".csv": pa.csv.read_csv, ".jsonl": pa.json.read_json}
ACCEPTED = f"file ending in {', '.join(READERS)}, or a folder of .parquet files"


def read_table(path: Path) -> pa.Table:
    """The rows under `path`: at least one. A folder that a `Table` wrote is read by that table's rules.

    Raises UserError when the path is absent, empty or damaged, or ends in something else.
    """
    path = Path(path)
    if path.is_dir():
        return _usable(_read_folder(path), path)
    if not path.exists():
        raise UserError(f"{path} does not exist; give a {ACCEPTED}")
    if path.suffix not in READERS:
        raise UserError(f"{path} ends in {path.suffix!r}; give a {ACCEPTED}")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty; it must hold at least one row")
    try:
        return _usable(READERS[path.suffix](path), path)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as {path.suffix}: {str(error).splitlines()[0]}") from None


def _usable(table: pa.Table, path: Path) -> pa.Table:
    if table.num_rows == 0:
        raise UserError(f"{path} has no rows; it must hold at least one")
    if len(set(table.column_names)) < table.num_columns:
        raise UserError(f"{path} names a column twice among {', '.join(table.column_names)}; rename one of them")
    return table


def _read_folder(folder: Path) -> pa.Table:
    parts = sorted(folder.glob("*.parquet"))
    if not parts:
        raise UserError(f"{folder} holds no .parquet file; give a {ACCEPTED}")
    try:
        newest = read_parquet(parts[-1]).schema
        if is_ours(newest):
            return Table(folder, Schema.from_arrow(newest, str(parts[-1]))).read()
        return pa.concat_tables([read_parquet(part) for part in parts], promote_options="default")
    except FileNotFoundError:
        raise UserError(f"{folder} changed while it was read; read it again") from None
    except pa.ArrowException as error:
        raise UserError(f"the parts in {folder} do not fit together: {str(error).splitlines()[0]}") from None

"""One Parquet file: written whole or not at all, read back under a schema."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from search_space import UserError
from studies.schema import Schema


def write_part(path: Path, table: pa.Table) -> None:
    """Write `path` through `<stem>.tmp` beside it, so that nobody ever sees it half written."""
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            pq.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno is not None:
            error.filename = error.filename or str(path)
        raise
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_parquet(path: Path) -> pa.Table:
    """Any Parquet file. Raises UserError when it is damaged, FileNotFoundError when it is not there."""
    with _open(path) as file:
        return file.read()


def schema_of(path: Path) -> Schema:
    """The schema a part was written under, from its footer alone."""
    with _open(path) as file:
        return Schema.from_arrow(file.schema_arrow, str(path))


def read_part(path: Path, schema: Schema) -> pa.Table:
    """A part as rows of `schema`; nullable columns that the part was written without are null.

    Raises UserError when the part is damaged, or of a schema that `schema` does not accept.
    """
    table = read_parquet(path)
    schema.accept(Schema.from_arrow(table.schema, str(path)), str(path))
    columns = [
        table[field.name] if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema.arrow
    ]
    return pa.table(columns, schema=schema.arrow)


@contextmanager
def _open(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{path} is damaged ({reason}); restore it from a copy, or move it away to go on without its rows"
        ) from None

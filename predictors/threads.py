"""How many threads linear algebra and trees may use: on hundreds of rows, more than one get in each other's way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

ROWS_FOR_ONE = 1000


@contextmanager
def few_threads(num_rows: int) -> Iterator[None]:
    """One thread inside, for up to ROWS_FOR_ONE rows; as many as there were for more."""
    with threadpool_limits(1 if num_rows <= ROWS_FOR_ONE else None):
        yield

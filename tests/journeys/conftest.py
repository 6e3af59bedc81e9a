"""What the journeys share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from search.cluster import connected


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    """One cluster for all commands of this process: they find it connected. Elsewhere each starts its own."""
    with connected("local"):
        yield

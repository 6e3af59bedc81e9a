"""SIGKILL at random moments: no row lost, none twice, no half file, the same weights (more: benchmarks/kill.py)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.kill import kill_search, kill_train

pytestmark = pytest.mark.thorough


def test_killed_training_and_search_lose_nothing(tmp_path: Path) -> None:
    generator = random.Random(1)
    assert kill_train(tmp_path, kills=1, generator=generator)["hits"] >= 1
    assert kill_search(tmp_path, kills=1, generator=generator, trials=16)["hits"] >= 1

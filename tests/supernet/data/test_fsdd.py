"""Spoken digits: an archive of recordings of all lengths."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search_space import UserError
from supernet.data import DataConfig, load_data, read_report_split
from supernet.data.fsdd import LENGTH, read_fsdd


def _arrays() -> dict[str, Any]:
    """Four takes of two speakers' ten digits: a test take and three others; recording i holds the value i."""
    lengths = np.where(np.arange(80) % 2, LENGTH + 101, 301)
    take = np.repeat([0, 5, 6, 7], 20)
    return {
        "samples": np.repeat(np.arange(80, dtype=np.int16), lengths),
        "offsets": np.concatenate([[0], np.cumsum(lengths)]),
        "digit": np.tile(np.arange(10, dtype=np.uint8), 8),
        "take": take.astype(np.uint8),
    }


def test_recordings_become_rows_of_one_length(tmp_path: Path) -> None:
    np.savez(tmp_path / "digits.npz", **_arrays())
    source = read_fsdd(tmp_path)
    assert source.rows.images.shape == (60, 1, LENGTH)
    short, long = source.rows.images[0, 0] * 2**15, source.rows.images[1, 0] * 2**15
    middle = slice((LENGTH - 301) // 2, (LENGTH - 301) // 2 + 301)
    assert (short[middle] == 20).all() and short.sum() == 20 * 301
    assert (long == 21).all()
    assert source.official_report is not None
    test = source.official_report()
    assert test.images.max() * 2**15 == 19 and test.labels.tolist() == [*range(10), *range(10)]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"offsets": np.arange(81)}, "offsets must rise from 0 to the number of samples"),
        ({"digit": np.zeros(3, np.uint8)}, "must describe the same number of recordings"),
        ({"take": None}, "lacks take; it must hold samples, offsets, digit, take"),
        ({"digit": np.full(80, 10, np.uint8)}, "the 10 classes are 0 to 9"),
    ],
)
def test_what_is_no_such_archive_is_refused(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    arrays = {name: value for name, value in {**_arrays(), **change}.items() if value is not None}
    np.savez(tmp_path / "digits.npz", **arrays)
    with pytest.raises(UserError, match=complaint) as refusal:
        read_fsdd(tmp_path / "digits.npz")
    assert "\n" not in str(refusal.value)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds 0 \.npz archives"):
        read_fsdd(tmp_path)
    (tmp_path / "digits.npz").write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a whole archive"):
        read_fsdd(tmp_path)


@pytest.mark.skipif("SNUGNET_DATA" not in os.environ, reason="SNUGNET_DATA does not name a folder of data sets")
def test_the_published_recordings(tmp_path: Path) -> None:
    config = DataConfig("fsdd", path="fsdd")
    try:
        data = load_data(config)
    except UserError:
        pytest.skip("SNUGNET_DATA holds no fsdd")
    assert (data.input_shape, data.num_classes) == ((1, LENGTH), 10)
    assert len(data.train) + len(data.search) == 2700
    reading = read_report_split(config, None, tmp_path / "ledger.jsonl", "x", lambda split: {"rows": float(len(split))})
    assert reading.figures["rows"] == 300

"""Files are whole or refused; hashes name values."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest
import torch

from search_space import UserError
from supernet.checkpoint import content_hash, load_metadata, load_tensors, save_tensors, write_atomically


def test_tensors_and_metadata_come_back(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4)[:, :2], "b": torch.tensor(3)}
    save_tensors(tmp_path / "f", tensors, {"step": 3, "rows": [{"x": 0.5}]})
    found, metadata = load_tensors(tmp_path / "f")
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert metadata == {"step": 3, "rows": [{"x": 0.5}]}


def test_a_view_is_stored_at_its_own_size(tmp_path: Path) -> None:
    save_tensors(tmp_path / "f", {"view": torch.zeros(1000, 1000)[:2, :2]}, {})
    assert (tmp_path / "f").stat().st_size < 1000


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_atomically(path, b"old")
    with mock.patch("os.fsync", side_effect=OSError("disk full")), pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("keep", [0, 5, -1])
def test_a_file_that_is_not_whole_is_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "f"
    save_tensors(path, {"a": torch.zeros(3)}, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match="is not a whole safetensors file") as refusal:
        load_tensors(path)
    assert "\n" not in str(refusal.value)
    with pytest.raises(UserError, match="is not a whole safetensors file"):
        load_metadata(path)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_tensors(tmp_path / "absent")


def test_the_hash_sees_names_shapes_types_and_values_but_not_order() -> None:
    a, b = torch.arange(4.0), torch.ones(2)
    base = content_hash({"a": a, "b": b})
    assert content_hash({"b": b, "a": a.clone()}) == base
    others = ({"a": a, "c": b}, {"a": a.reshape(2, 2), "b": b}, {"a": a.double(), "b": b}, {"a": a + 1, "b": b})
    assert len({base, *map(content_hash, others)}) == 5

"""The `[data]` section: what it refuses, and where it looks for its path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search_space import UserError
from supernet.data import DataConfig
from supernet.data.config import find_path


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"format": "mnist"},
            "'mnist' is unknown; accepted: digits, moving_shapes, idx, cifar10, cifar100, fsdd, image_folder",
        ),
        ({"format": "idx"}, "data.path=None is missing"),
        ({"format": "idx", "path": ""}, "data.path='' is missing"),
        ({"format": "digits", "path": "x"}, "remove it"),
        ({"format": "moving_shapes", "path": "x"}, "not used by format moving_shapes"),
        ({"format": "npz", "path": "x", "image_size": 8}, "image_size is only for image_folder"),
        ({"format": "image_folder", "path": "x", "image_size": 0}, "data.image_size=0 must be a whole number"),
        ({"format": "digits", "seed": -1}, "data.seed=-1 must be a whole number of at least 0"),
        ({"format": "digits", "seed": 0.5}, "data.seed=0.5 must be"),
        ({"format": "digits", "train_size": 0}, "data.train_size=0 must be a whole number of at least 1"),
        ({"format": "digits", "train_size": True}, "data.train_size=True must be"),
        ({"format": "digits", "search_fraction": 0}, "data.search_fraction=0 must be a fraction"),
        ({"format": "digits", "report_fraction": float("nan")}, "data.report_fraction=nan must be a fraction"),
        ({"format": "digits", "report_fraction": 1.0}, "data.report_fraction=1.0 must be a fraction"),
        ({"format": "digits", "search_fraction": 0.5, "report_fraction": 0.5}, "leave no training rows"),
    ],
)
def test_bad_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        DataConfig(**values)
    assert "\n" not in str(error.value)


def test_the_experiment_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, shared = tmp_path / "base", tmp_path / "shared"
    for folder in (base / "both", shared / "both", shared / "only"):
        folder.mkdir(parents=True)
    monkeypatch.setenv("SNUGNET_DATA", str(shared))
    assert find_path("both", base) == base / "both"
    assert find_path("both", None) == shared / "both"
    assert find_path("only", base) == shared / "only"
    assert find_path(str(base / "both"), None) == base / "both"
    with pytest.raises(UserError, match=f"not found at {base}/gone or {shared}/gone; correct it") as error:
        find_path("gone", base)
    assert "\n" not in str(error.value)


def test_an_absent_path_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SNUGNET_DATA", raising=False)
    with pytest.raises(UserError, match=f"not found at {tmp_path}/gone .SNUGNET_DATA is not set.; correct it or set"):
        find_path("gone", tmp_path)
    with pytest.raises(UserError, match="not found at any folder"):
        find_path("gone", None)
    with pytest.raises(UserError, match=f"not found at {tmp_path}/gone; correct it"):
        find_path(str(tmp_path / "gone"), None)

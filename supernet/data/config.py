"""The `[data]` section of an experiment, and where its path is looked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from search_space import UserError

BUILT_IN = ("digits", "moving_shapes")
FORMATS = (*BUILT_IN, "idx", "cifar10", "cifar100", "fsdd", "image_folder", "npz", "parquet")


@dataclass(frozen=True)
class DataConfig:
    """Which data, and how they are split. Raises UserError for a value that cannot be meant.

    `path` is absolute, or relative to the experiment file's folder, or else to $SNUGNET_DATA; built-in data take none.
    `search_fraction` of every class of the training rows chooses among architectures. `report_fraction` applies only
    to a source without a test set of its own. `train_size` keeps that many training rows and leaves the other splits
    alone: a smaller size is always a subset of a larger one. `image_size` resizes an image folder to squares, in
    pixels; the aspect ratio is not kept.
    """

    format: str
    path: str | None = None
    seed: int = 0
    search_fraction: float = 0.1
    report_fraction: float = 0.2
    train_size: int | None = None
    image_size: int | None = None

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise UserError(f"data.format={self.format!r} is unknown; accepted: {', '.join(FORMATS)}")
        if self.format in BUILT_IN and self.path is not None:
            raise UserError(
                f"data.path={self.path!r} is not used by format {self.format}, which is built in; remove it"
            )
        if self.format not in BUILT_IN and not (isinstance(self.path, str) and self.path):
            raise UserError(
                f"data.path={self.path!r} is missing; format {self.format} reads a file or folder, so name it"
            )
        if self.image_size is not None and self.format != "image_folder":
            raise UserError(f"data.image_size is only for image_folder, not for {self.format}; remove it")
        _whole("seed", self.seed, 0)
        for name in ("train_size", "image_size"):
            if getattr(self, name) is not None:
                _whole(name, getattr(self, name), 1)
        for name in ("search_fraction", "report_fraction"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
                raise UserError(f"data.{name}={value!r} must be a fraction between 0 and 1, such as 0.1")
        if self.search_fraction + self.report_fraction >= 1:
            raise UserError(
                f"data.search_fraction={self.search_fraction} and data.report_fraction={self.report_fraction} leave no "
                "training rows; their sum must stay below 1"
            )


def find_path(path: str, base: Path | None) -> Path:
    """The existing file or folder that `path` means. Raises UserError naming every place looked in."""
    given = Path(path).expanduser()
    if given.is_absolute():
        places = [given]
    else:
        folders = [base] if base is not None else []
        if os.environ.get("SNUGNET_DATA"):
            folders.append(Path(os.environ["SNUGNET_DATA"]))
        places = [folder / given for folder in folders]
    for place in places:
        if place.exists():
            return place
    looked = " or ".join(str(place) for place in places) or "any folder"
    hint = "" if os.environ.get("SNUGNET_DATA") or given.is_absolute() else " (SNUGNET_DATA is not set)"
    raise UserError(f"data.path={path!r} was not found at {looked}{hint}; correct it or set SNUGNET_DATA to its folder")


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"data.{name}={value!r} must be a whole number of at least {least}")

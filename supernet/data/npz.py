"""NumPy archives: one array of images or signals, one of labels."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_space import UserError
from supernet.data.source import Source, checked_rows, digest_files, first_line

IMAGES, LABELS = ("images", "x"), ("labels", "y")


def read_npz(path: Path) -> Source:
    """Rows from an .npz without a test set of its own. Raises UserError.

    The array's name says what its axes are. `images` are pictures: (rows, height, width), or (rows, channels, height,
    width). `x` are signals or anything else: (rows, length), or (rows, channels, *spatial) with 1 to 3 spatial axes.
    `labels` or `y` holds whole numbers from 0, one per row. Other arrays are passed over.
    """
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is not an .npz archive; write it with numpy.savez(path, images=..., labels=...)")
    arrays = stored_arrays(path, IMAGES + LABELS)
    name, labels = _one_of(arrays, IMAGES, path), _one_of(arrays, LABELS, path)
    where = f"{path}:{name}"
    images = _pictures(arrays[name], where) if name == "images" else _signals(arrays[name])
    rows = checked_rows(images, arrays[labels], where)
    return Source(path.stem, digest_files([path], path.parent), rows)


def stored_arrays(path: Path, names: Collection[str]) -> dict[str, NDArray[Any]]:
    """Those of the named arrays that an archive holds. Raises UserError where it cannot be read without pickle."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: np.asarray(archive[name]) for name in archive.files if name in names}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path} is not a whole archive of plain arrays ({first_line(error)}); write it again"
        ) from None


def _one_of(arrays: dict[str, NDArray[Any]], accepted: tuple[str, str], path: Path) -> str:
    found = [name for name in accepted if name in arrays]
    if len(found) != 1:
        raise UserError(f"{path} holds {found or 'neither'} of {' and '.join(accepted)}; exactly one must be there")
    return found[0]


def _pictures(images: NDArray[Any], where: str) -> NDArray[Any]:
    if images.ndim == 3:
        return images[:, None]
    if images.ndim != 4:
        raise UserError(
            f"{where} has shape {images.shape}; accepted: (rows, height, width), (rows, channels, height, width)"
        )
    if images.shape[3] <= 4 < images.shape[1]:
        raise UserError(
            f"{where} has shape {images.shape}, which looks like channels last; transpose it to (0, 3, 1, 2)"
        )
    return images


def _signals(signals: NDArray[Any]) -> NDArray[Any]:
    return signals[:, None] if signals.ndim == 2 else signals

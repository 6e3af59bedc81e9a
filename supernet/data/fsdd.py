"""The Free Spoken Digit Dataset: recordings of ten spoken digits at 8 kHz, as one NumPy archive.

Source: Jackson et al., "Free Spoken Digit Dataset", github.com/Jakobovski/free-spoken-digit-dataset.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_space import UserError
from supernet.data.npz import stored_arrays
from supernet.data.source import Rows, Source, checked_rows, digest_files

LENGTH = 4096
"""Samples of a row, about half a second: three quarters of the recordings are shorter."""

TEST_TAKES = 5
"""Takes 0 to 4 of every speaker and digit are the data set's own test set."""

ARRAYS = ("samples", "offsets", "digit", "take")


def read_fsdd(path: Path) -> Source:
    """Waveforms (1, 4096) in -1 to 1, ten classes, with the customary test set. Raises UserError.

    `path` is an .npz, or a folder that holds one: `samples` int16 of all recordings, one after the other; `offsets`
    where each begins and the last one ends; `digit` and `take` of each. Longer recordings keep their middle, shorter
    ones stand in the middle of silence.
    """
    archive = _archive(path)
    arrays = stored_arrays(archive, ARRAYS)
    if missing := [name for name in ARRAYS if name not in arrays]:
        raise UserError(f"{archive} lacks {', '.join(missing)}; it must hold {', '.join(ARRAYS)}")
    offsets, take = arrays["offsets"].astype(np.int64), arrays["take"]
    lengths = np.diff(offsets)
    if len(lengths) == 0 or (lengths < 1).any() or offsets[0] != 0 or offsets[-1] != len(arrays["samples"]):
        raise UserError(f"{archive}: offsets must rise from 0 to the number of samples, {len(arrays['samples'])}")
    if not len(lengths) == len(arrays["digit"]) == len(take):
        raise UserError(f"{archive}: offsets, digit and take must describe the same number of recordings")
    test = take < TEST_TAKES

    def rows(chosen: NDArray[np.bool_]) -> Rows:
        numbers = np.flatnonzero(chosen)
        waves = np.stack([_middle(arrays["samples"][offsets[i] : offsets[i + 1]]) for i in numbers])
        return checked_rows(waves[:, None], arrays["digit"][numbers], archive, num_classes=10)

    return Source("fsdd", digest_files([archive], archive.parent), rows(~test), lambda: rows(test))


def _middle(samples: NDArray[Any]) -> NDArray[np.float32]:
    """LENGTH samples around the middle of a recording, in -1 to 1."""
    surplus = len(samples) - LENGTH
    wave = samples[max(surplus // 2, 0) :][:LENGTH].astype(np.float32) / 2**15
    missing = LENGTH - len(wave)
    return np.pad(wave, (missing // 2, missing - missing // 2))


def _archive(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.npz"))
    if len(found) != 1:
        raise UserError(f"{path} holds {len(found)} .npz archives; exactly one must be there, or name the file")
    return found[0]

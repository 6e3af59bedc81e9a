"""The built-in volumes: short films of one moving shape, generated, to exercise three dimensions without a download."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from supernet.data.source import Source, checked_rows, digest

FRAMES, SIZE = 8, 16
NUM_ROWS = 2000

DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))
"""Steps (down, right) from one frame to the next."""

SHAPES = ("square", "disc")
RADIUS = 3
NOISE = 40.0
"""Standard deviation of the noise, in grey levels of 255."""


def read_moving_shapes() -> Source:
    """2,000 synthetic films of shape (1, 8 frames, 16, 16), eight classes, no test set of its own.

    The class is the shape, a square or a disc, and its direction of motion, one of four: no single frame tells the
    direction. The shape starts anywhere, moves by one position a frame and comes back in at the opposite side;
    brightness and noise vary. The same films on every machine.
    """
    num_classes = len(SHAPES) * len(DIRECTIONS)
    labels = np.arange(NUM_ROWS) % num_classes
    starts = _uniform(NUM_ROWS, 2, key=0) * SIZE // 1
    brightness = 100 + 155 * _uniform(NUM_ROWS, 1, key=1)[:, 0]
    masks = np.stack([_shape(name) for name in SHAPES])[labels // len(DIRECTIONS)]
    steps = np.array(DIRECTIONS)[labels % len(DIRECTIONS)]
    frame = np.arange(FRAMES)
    rows, columns = (
        (np.arange(SIZE) - starts[:, axis, None, None] - frame[:, None] * steps[:, axis, None, None]).astype(int) % SIZE
        for axis in (0, 1)
    )
    films = np.take_along_axis(
        np.take_along_axis(np.repeat(masks[:, None], FRAMES, axis=1), rows[..., None], axis=2),
        columns[:, :, None],
        axis=3,
    )
    noise = NOISE * np.sqrt(12) * (_uniform(NUM_ROWS, FRAMES * SIZE * SIZE, key=2).reshape(films.shape) - 0.5)
    grey = (films * brightness[:, None, None, None] + noise).clip(0, 255).astype(np.uint8)
    checked = checked_rows(grey[:, None], labels, "moving_shapes")
    return Source("moving_shapes", digest([checked.images.tobytes(), checked.labels.astype("<i8").tobytes()]), checked)


def _uniform(rows: int, columns: int, key: int) -> NDArray[np.float64]:
    """Numbers in [0, 1) that stay the same across NumPy versions: only raw streams do (NEP 19)."""
    raw = np.random.PCG64([key, rows, columns]).random_raw(rows * columns)
    return (raw >> np.uint64(11)).astype(np.float64).reshape(rows, columns) / 2**53


def _shape(name: str) -> NDArray[np.float64]:
    """(SIZE, SIZE), 1 inside the shape, whose centre lies at (0, 0) with the edges joined."""
    distance = np.minimum(np.arange(SIZE), SIZE - np.arange(SIZE))
    if name == "square":
        inside = np.maximum(distance[:, None], distance) <= RADIUS - 1
    else:
        inside = distance[:, None] ** 2 + distance**2 <= RADIUS**2
    return inside.astype(np.float64)

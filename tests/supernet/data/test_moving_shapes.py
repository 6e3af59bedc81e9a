"""The generated films: what their labels say is what moves."""

from __future__ import annotations

import numpy as np

from supernet.data import DataConfig, load_data
from supernet.data.moving_shapes import DIRECTIONS, FRAMES, NUM_ROWS, SIZE, read_moving_shapes


def test_films_are_split_like_any_other_data() -> None:
    data = load_data(DataConfig("moving_shapes"))
    assert (data.input_shape, data.num_classes) == ((1, FRAMES, SIZE, SIZE), 8)
    assert len(data.train) + len(data.search) == 0.8 * NUM_ROWS


def test_the_label_names_shape_and_direction() -> None:
    """Moved back by its steps, every frame of a film shows the shape at one place; noise averages out."""
    rows = read_moving_shapes().rows
    for film, label in zip(rows.images[:64, 0].astype(float), rows.labels[:64], strict=True):
        still = {
            direction: np.mean(
                [np.roll(f, (-t * direction[0], -t * direction[1]), (0, 1)) for t, f in enumerate(film)], 0
            )
            for direction in DIRECTIONS
        }
        assert max(still, key=lambda direction: still[direction].std()) == DIRECTIONS[label % 4]
        shape = still[DIRECTIONS[label % 4]] > 60
        assert abs(shape.sum() - (25 if label < 4 else 29)) <= 1


def test_one_frame_does_not_tell_the_direction() -> None:
    """The mean first frame of every direction is flat: a shape starts anywhere."""
    rows = read_moving_shapes().rows
    for direction in range(4):
        first = rows.images[rows.labels % 4 == direction, 0, 0].astype(float).mean(axis=0)
        assert first.std() < 0.25 * first.mean()

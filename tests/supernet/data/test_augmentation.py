"""Augmentation against an image-by-image reference."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from search_space import UserError
from supernet.data import Augmentation


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shifts_of(image: Tensor, largest: int) -> dict[tuple[int, int], Tensor]:
    """Every shift of one image (channels, height, width) by loops over pixels, zeros moving in."""
    _, height, width = image.shape
    made = {}
    for dy in range(-largest, largest + 1):
        for dx in range(-largest, largest + 1):
            moved = torch.zeros_like(image)
            for y in range(height):
                for x in range(width):
                    if 0 <= y - dy < height and 0 <= x - dx < width:
                        moved[:, y, x] = image[:, y - dy, x - dx]
            made[dy, dx] = moved
    return made


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("flip", [False, True])
def test_every_image_is_one_of_its_shifts_and_every_shift_turns_up(dtype: torch.dtype, flip: bool) -> None:
    image = torch.arange(1, 2 * 4 * 5 + 1).view(2, 4, 5).to(dtype)
    images = image.repeat(600, 1, 1, 1)
    made = Augmentation(shift=1, flip=flip)(images, generator())
    assert made.dtype == dtype
    accepted = list(shifts_of(image, 1).values())
    if flip:
        accepted += [moved.flip(-1) for moved in accepted]
    counts = [sum(torch.equal(one, moved) for one in made) for moved in accepted]
    assert sum(counts) == 600
    expected = 600 / len(accepted)
    assert all(0.5 * expected < count < 1.6 * expected for count in counts)


@pytest.mark.parametrize("shape", [(40, 1, 9), (40, 2, 3, 4, 5)])
def test_shifts_have_as_many_axes_as_the_data(shape: tuple[int, ...]) -> None:
    made = Augmentation(shift=1)(torch.ones(shape), generator())
    assert made.shape == shape
    for axis in range(2, len(shape)):
        edges = made.movedim(axis, 1)[:, [0, -1]].flatten(2).amax(2)
        assert {tuple(pair) for pair in edges.tolist()} == {(0.0, 1.0), (1.0, 0.0), (1.0, 1.0)}


def test_the_generator_decides_alone() -> None:
    images = torch.rand(20, 1, 8, 8, generator=generator())
    augment = Augmentation(2, True)
    assert torch.equal(augment(images, generator(1)), augment(images, generator(1)))
    assert not torch.equal(augment(images, generator(1)), augment(images, generator(2)))


def test_without_shift_and_flip_nothing_changes() -> None:
    images = torch.rand(20, 1, 8, 8, generator=generator())
    assert torch.equal(Augmentation()(images, generator()), images)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(UserError, match="shift=-1 must be a whole number"):
        Augmentation(shift=-1)
    with pytest.raises(UserError, match="flip needs images"):
        Augmentation(flip=True)(torch.zeros(2, 1, 9), generator())
    with pytest.raises(UserError, match=r"shift=8 moves images of \(9, 8\) out of sight; lower it"):
        Augmentation(shift=8)(torch.zeros(2, 1, 9, 8), generator())

"""Augmentation of training batches: random shifts, horizontal flips and RandAugment, for a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from search_space import UserError
from supernet.data.rand_augment import RandAugment


@dataclass(frozen=True)
class Augmentation:
    """`shift`: each spatial axis moves by a whole number of positions, uniform in [-shift, shift], zeros moving in.
    `flip`: half of the images are mirrored left to right; only images of two spatial axes have a left and a right.
    `rand_augment`: further operations, after these.

    Zeros stand for the stored value 0, black, so this comes before normalisation.
    """

    shift: int = 0
    flip: bool = False
    rand_augment: RandAugment | None = None

    def __post_init__(self) -> None:
        if isinstance(self.shift, bool) or not isinstance(self.shift, int) or self.shift < 0:
            raise UserError(f"augmentation shift={self.shift!r} must be a whole number of pixels, at least 0")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images (batch, channels, *spatial) to the same shape and type; the draws come from `generator` alone."""
        if self.flip and images.ndim != 4:
            raise UserError(f"augmentation flip needs images (height, width), not shape {tuple(images.shape[2:])}")
        if self.shift >= min(images.shape[2:]):
            raise UserError(
                f"augmentation shift={self.shift} moves images of {tuple(images.shape[2:])} out of sight; lower it"
            )
        if self.shift:
            images = _shifted(images, self.shift, generator)
        if self.flip:
            mirrored = torch.randint(2, (len(images), 1, 1, 1), generator=generator, dtype=torch.bool)
            images = torch.where(mirrored, images.flip(-1), images)
        return self.rand_augment(images, generator) if self.rand_augment else images


def _shifted(images: Tensor, largest: int, generator: torch.Generator) -> Tensor:
    """Each image's window into the padded batch, at an offset of its own."""
    batch, num_axes = len(images), images.ndim - 2
    windows = torch.nn.functional.pad(images, (largest, largest) * num_axes)
    for axis in range(2, images.ndim):
        windows = windows.unfold(axis, images.shape[axis], 1)
    offsets = torch.randint(2 * largest + 1, (num_axes, batch), generator=generator)
    return windows[torch.arange(batch), :, *offsets]

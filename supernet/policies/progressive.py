"""Progressive shrinking: first the largest network, then smaller kernels, then depths, then widths."""

from __future__ import annotations

from typing import ClassVar

from search_space import Architecture, Scalar
from supernet.policies.policy import Draw, Policy

FULL, KERNEL, DEPTH, WIDTH = 180, 125, 150, 150
"""Epochs of the phases in the paper. In the last two, the first 25 allow only the two largest options."""

EPOCHS = FULL + KERNEL + DEPTH + WIDTH
SHORT = 25

EXTENTS = ("kernel_size", "band_size", "pool_size", "window")


class Progressive(Policy):
    """The largest architecture, and `num_subnets - 1` random ones of the part of the space that is open so far.

    Source: Cai et al., "Once-for-All: Train One Network and Specialize it for Efficient Deployment", ICLR 2020, section
    3.3: elastic kernel size, then depth, then width, each with a share of the training as in the paper's 605 epochs;
    numbers that are none of these open with the widths. Kinds of components are random throughout. The paper takes the
    finished largest network as a teacher, starts the learning rate anew in each phase and draws 1, 2, then 4 subnets;
    here one run has one schedule, and the largest goes on learning and teaches as it is.

    Equal architectures are trained once: while only the largest is open, a step costs one subnet where nothing but
    numbers vary.
    """

    fewest: ClassVar[int] = 2
    usual: ClassVar[int] = 2
    first_teaches: ClassVar[bool] = True

    def __call__(self, draw: Draw) -> list[Architecture]:
        space, generator, epoch = draw.space, draw.generator, draw.progress * EPOCHS

        def choose(name: str, options: tuple[Scalar, ...]) -> Scalar:
            if not isinstance(options[0], str):
                two, every = _opens(name)
                options = options[-1 if epoch < two else -2 if epoch < every else 0 :]
            return options[int(generator.integers(len(options)))]

        drawn = [space.largest(generator), *(space.build(choose) for _ in range(self.num_subnets - 1))]
        return list(dict.fromkeys(drawn))


def _opens(name: str) -> tuple[int, int]:
    """The epochs from which the two largest options of a decision and all of its options may be drawn."""
    if name.endswith(EXTENTS):
        return FULL, FULL
    begins = FULL + KERNEL if name.endswith(".depth") else FULL + KERNEL + DEPTH
    return begins, begins + SHORT

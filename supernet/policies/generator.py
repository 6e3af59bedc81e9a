"""Random architectures of a wanted complexity."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from search_space import Architecture, Scalar, SearchSpace

TOLERANCE = 0.05
"""Relative. A single decision often changes more than this, which is why not every first try ends inside."""

TRIES, HALVINGS = 16, 6
"""Random architectures that are tried, and how often each is pushed up or down."""

STRONGEST = 4.0
"""Powers reach from 2 to the minus this to 2 to the plus this."""

NUM_ENDS = 64
"""Smallest and largest architectures, of random kinds of components, that give the range of FLOPs."""


def flops_range(space: SearchSpace, flops: Callable[[Architecture], int]) -> tuple[int, int]:
    """The fewest and the most FLOPs of the space's ends; the same whenever it is asked."""
    kinds = np.random.default_rng(0)
    smallest, largest = ([flops(end(kinds)) for _ in range(NUM_ENDS)] for end in (space.smallest, space.largest))
    return min(smallest), max(largest)


def generate(
    space: SearchSpace,
    flops: Callable[[Architecture], int],
    wanted: float,
    generator: np.random.Generator,
    tolerance: float = TOLERANCE,
) -> Architecture:
    """A random architecture with `wanted` FLOPs within this share of them, or the closest one met.

    A uniform number stands behind each decision. Raising all of them to one power pushes every width, depth, kernel and
    expansion of the random architecture up or down together, while the kinds of components stay; halving finds the
    power. At power 1 this is uniform sampling.
    """
    closest, gap = space.sample(generator), np.inf
    for _ in range(TRIES):
        uniform: dict[str, float] = {}
        low, high = -STRONGEST, STRONGEST
        for _ in range(HALVINGS):
            exponent = (low + high) / 2

            def choose(
                name: str,
                options: tuple[Scalar, ...],
                uniform: dict[str, float] = uniform,
                power: float = 2.0**exponent,
            ) -> Scalar:
                number = uniform.setdefault(name, generator.random())
                pushed = number if isinstance(options[0], str) else number**power
                return options[min(int(pushed * len(options)), len(options) - 1)]

            architecture = space.build(choose)
            excess = flops(architecture) - wanted
            if abs(excess) < gap:
                closest, gap = architecture, abs(excess)
            if gap <= tolerance * wanted:
                return closest
            low, high = (exponent, high) if excess > 0 else (low, exponent)
    return closest

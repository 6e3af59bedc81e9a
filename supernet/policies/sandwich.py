"""The sandwich rule: the largest, the smallest and some between, in every step."""

from __future__ import annotations

from typing import ClassVar

from search_space import Architecture
from supernet.policies.policy import Draw, Policy


class Sandwich(Policy):
    """The largest architecture, the smallest, and `num_subnets - 2` random ones. The largest teaches the others.

    Source: Yu & Huang, "Universally Slimmable Networks and Improved Training Techniques", ICCV 2019, sections 3.2
    (sandwich rule) and 3.3 (in-place distillation). Largest and smallest are in size; where a place has several kinds
    of component to choose from, the kind is random, so that every kind is trained at both ends.
    """

    fewest: ClassVar[int] = 2
    usual: ClassVar[int] = 4
    first_teaches: ClassVar[bool] = True

    def __call__(self, draw: Draw) -> list[Architecture]:
        ends = [draw.space.largest(draw.generator), draw.space.smallest(draw.generator)]
        return ends + [self.between(draw) for _ in range(self.num_subnets - len(ends))]

    def between(self, draw: Draw) -> Architecture:
        """One of the architectures between the ends."""
        return draw.space.sample(draw.generator)

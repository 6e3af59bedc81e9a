"""AttentiveNAS: the sandwich, with the best or the worst of several equally large subnets between its ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from search_space import Architecture
from supernet.policies.generator import generate
from supernet.policies.policy import Draw
from supernet.policies.sandwich import Sandwich

NUM_CANDIDATES = 3


class BestUp(Sandwich):
    """Largest, smallest, and `num_subnets - 2` times the one of three subnets of like FLOPs with the lowest loss.

    Source: Wang et al., "AttentiveNAS: Improving Neural Architecture Search via Attentive Sampling", CVPR 2021, and its
    public code, with the loss on the step's batch as measure (BestUp-3). The FLOPs are those of a uniformly random
    subnet, the first candidate; the authors tabulate beforehand which decisions go with which FLOPs, here `generate`
    finds the others. Costs three forward passes beside each such subnet's training.
    """

    fewest: ClassVar[int] = 3
    usual: ClassVar[int] = 3
    pick: ClassVar[Callable[..., Architecture]] = min

    def between(self, draw: Draw) -> Architecture:
        first = draw.space.sample(draw.generator)
        wanted = draw.flops(first)
        others = (generate(draw.space, draw.flops, wanted, draw.generator) for _ in range(NUM_CANDIDATES - 1))
        return type(self).pick([first, *others], key=draw.loss)


class WorstUp(BestUp):
    """As `BestUp`, with the highest loss: what is worst for its size is mended first (WorstUp-3)."""

    pick: ClassVar[Callable[..., Architecture]] = max

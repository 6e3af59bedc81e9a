"""Subnets of every size alike: FLOPs first, even in the logarithm, then an architecture of them."""

from __future__ import annotations

import math

from search_space import Architecture
from supernet.policies.generator import flops_range, generate
from supernet.policies.policy import Draw, Policy

TOLERANCE = 0.2
"""Of each architecture's FLOPs. Little beside the range of most spaces, and found several times as fast as 0.05."""


class LogUniform(Policy):
    """`num_subnets` random architectures, their FLOPs log-uniform from the smallest to the largest.

    Uniform decisions seldom agree on small or on large, so that both ends of a space are hardly ever trained. This goes
    evenly over the range in which subnets are wanted, and its steps cost no more: half of them are below the geometric
    mean of both ends.

    Source: Wang et al., "AttentiveNAS: Improving Neural Architecture Search via Attentive Sampling", CVPR 2021 (FLOPs
    are drawn first, then a network of them); the logarithm is ours.
    """

    def __init__(self, num_subnets: int) -> None:
        super().__init__(num_subnets)
        self._range: tuple[float, float] | None = None

    def __call__(self, draw: Draw) -> list[Architecture]:
        if self._range is None:
            self._range = flops_range(draw.space, draw.flops)
        low, high = map(math.log, self._range)
        wanted = (math.exp(draw.generator.uniform(low, high)) for _ in range(self.num_subnets))
        return [generate(draw.space, draw.flops, each, draw.generator, TOLERANCE) for each in wanted]

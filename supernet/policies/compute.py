"""What the steps of a policy cost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from search_space import Architecture, SearchSpace
from supernet.policies.policy import Draw, Policy

STEPS = 200
"""Spread over the training, from which the mean is taken."""


def flops_of_a_step(policy: Policy, space: SearchSpace, flops: Callable[[Architecture], int]) -> float:
    """FLOPs that a step spends on one row of its batch: the forward passes of the architectures that see it, the mean
    over a training. Backward passes cost in proportion; what a policy runs to choose its architectures is left out.
    """
    generator = np.random.default_rng(0)

    def of_a_step(step: int) -> float:
        drawn = [flops(a) for a in policy(Draw(space, generator, step / STEPS, lambda _: 0.0, flops))]
        return sum(drawn) / (len(drawn) if policy.splits_batch else 1)

    return float(np.mean([of_a_step(step) for step in range(STEPS)]))

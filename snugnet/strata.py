"""Architectures spread evenly over a space's FLOPs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count, islice

import numpy as np

from search_space import Architecture, SearchSpace
from supernet.cost import flops_of_parts
from supernet.network import Task
from supernet.policies.generator import flops_range, generate

SMALL = 1024
"""A space of up to so many architectures is listed, and its closest are taken."""

MOST = 10_000
"""No command trains or measures more architectures one by one; finding even these takes a minute."""

ATTEMPTS = 20
"""Draws for each architecture that must differ from those before."""


def stratified(space: SearchSpace, task: Task, seed: int, number: int) -> list[Architecture]:
    """So many different architectures, fewer where the space has no more; random ones but for their FLOPs, which cover
    the range from the smallest to the largest evenly, in the logarithm.

    Every beginning of their order is spread evenly: whoever takes more takes the same ones and others.
    """
    flops, chosen = flops_of_parts(task), dict[str, Architecture]()
    low, high = map(math.log, flops_range(space, flops))
    listed = sorted(space.enumerate(), key=lambda a: a.id) if space.size <= SMALL else []
    left = [(math.log(flops(architecture)), architecture) for architecture in listed]
    for place, share in enumerate(islice(van_der_corput(), min(number, space.size))):
        wanted = low + share * (high - low)
        if left:
            closest = min(range(len(left)), key=lambda i: abs(left[i][0] - wanted))
            _, found = left.pop(closest)
            chosen[found.id] = found
            continue
        for attempt in range(ATTEMPTS):
            found = generate(space, flops, math.exp(wanted), np.random.default_rng((seed, place, attempt)))
            if found.id not in chosen:
                chosen[found.id] = found
                break
    return list(chosen.values())


def van_der_corput() -> Iterator[float]:
    """Numbers between 0 and 1, each in the middle of one of the widest gaps: 1/2, 1/4, 3/4, 1/8 and so on.

    Source: van der Corput, "Verteilungsfunktionen", 1935, in base 2.
    """
    for i in count(1):
        yield int(f"{i:b}"[::-1], 2) / 2 ** i.bit_length()

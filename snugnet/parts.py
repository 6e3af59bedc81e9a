"""Latencies from parts: what each component costs where it can stand, measured once, added up for any architecture.

Once-for-all networks are searched with such tables, of blocks timed by themselves (Cai et al., "Once-for-all", ICLR
2020, section 3.4). Here a part's cost is the difference of two small networks with and without it, so that each is
timed among what surrounds it. The sums know nothing of how parts slow or help each other. So they are to a predictor
what another device is: it learns them first, and from whole networks how far they are off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from search_space import Architecture, SearchSpace, UserError
from supernet.policies.complexity import Complexity, without_blocks

NUM_EXAMPLES = 500
"""Random architectures whose parts are measured; those of a few may lack a rare one."""

FEWEST_SUMS = 20
"""Of the examples, below which the parts say too little."""

MOST_SKELETONS = 48
"""Combinations of stem, downsampling and widths that are measured. More would take longer than they teach."""

DRAWS = 5000

COPIES = 3
"""Of a block in a row when parts are measured: a network has several blocks, and all would share the error of one."""


def examples(space: SearchSpace) -> list[Architecture]:
    """Random architectures of few skeletons, always the same."""
    generator, skeletons, found = np.random.default_rng(0), set[Architecture](), dict[str, Architecture]()
    for _ in range(DRAWS):
        architecture = space.sample(generator)
        skeleton = without_blocks(architecture)
        if len(skeletons) < MOST_SKELETONS:
            skeletons.add(skeleton)
        if skeleton in skeletons:
            found[architecture.id] = architecture
        if len(found) == NUM_EXAMPLES:
            break
    return list(found.values())


def parts_of(space: SearchSpace) -> list[Architecture]:
    """The small networks whose latencies say what each part of the space costs. They need not belong to the space."""
    seen = dict[str, Architecture]()

    def note(part: Architecture) -> int:
        seen[part.id] = part
        return 0

    sum_of_parts = Complexity(note, COPIES)
    for architecture in examples(space):
        sum_of_parts(architecture)
    return list(seen.values())


def sums_of_parts(measured: Sequence[Mapping[str, Any]], space: SearchSpace) -> list[tuple[Architecture, float]]:
    """The random architectures, with the latencies in ms that the `measured` parts of one device add up to.

    Those with a part that was not measured are left out (it failed, or belongs to a skeleton beyond MOST_SKELETONS).
    Raises UserError where too few are left.
    """
    nanoseconds = {row["id"]: round(1e6 * row["latency_ms"]) for row in measured if not row["error"]}
    sum_of_parts = Complexity(lambda part: nanoseconds[part.id], COPIES)
    random, found = examples(space), []
    for architecture in random:
        with suppress(KeyError):
            # Noise can make a sum of differences negative.
            if (total := sum_of_parts(architecture)) > 0:
                found.append((architecture, 1e-6 * total))
    if len(found) < FEWEST_SUMS:
        raise UserError(f"{len(found)} of {len(random)} random architectures have all parts measured")
    return found

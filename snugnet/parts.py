"""Latencies from parts: what each component costs where it can stand, measured once, added up for any architecture.

Once-for-all networks are searched with such tables, of blocks timed by themselves (Cai et al., "Once-for-all", ICLR
2020, section 3.4). Here a part's cost is the difference of two small networks with and without it, so that each is
timed among what surrounds it. The sums know nothing of how parts slow or help each other: that is what a predictor
learns from whole networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from predictors import LatencyPredictor
from search_space import Architecture, Scalar, SearchSpace, UserError
from supernet.policies.complexity import Complexity, without_blocks

Floats = np.ndarray[Any, np.dtype[np.float64]]

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


class SumOfParts:
    """Latencies in ms of rows of choices, as the `measured` parts of one device make them up: a predictor's base.

    What parts that were not measured cost (of a skeleton beyond MOST_SKELETONS, or one that failed) is predicted from
    the sums of random architectures. Raises UserError where too few of these have a sum.
    """

    def __init__(self, measured: Sequence[Mapping[str, Any]], space: SearchSpace) -> None:
        self._space = space
        nanoseconds = {row["id"]: round(1e6 * row["latency_ms"]) for row in measured if not row["error"]}
        self._sum = Complexity(lambda part: nanoseconds[part.id], COPIES)
        random = examples(space)  # first of all: parts are differences from the first architecture in their place
        sums = [self._exact(architecture) for architecture in random]
        self._known = [(space.choices(a), ms) for a, ms in zip(random, sums, strict=True) if ms]
        if len(self._known) < FEWEST_SUMS:
            raise UserError(f"{len(self._known)} of {len(random)} random architectures have all parts measured")

    def __call__(self, rows: Sequence[Mapping[str, Scalar]]) -> Floats:
        sums = np.array([self._exact(self._architecture(row)) for row in rows])
        unknown = np.flatnonzero(sums == 0)
        if unknown.size:
            sums[unknown] = self._learned.predict([rows[int(i)] for i in unknown])
        return sums

    def _architecture(self, row: Mapping[str, Scalar]) -> Architecture:
        return self._space.build(lambda name, options: options[options.index(row[name])])

    def _exact(self, architecture: Architecture) -> float:
        """In ms; 0 where a part was not measured, or noise made the sum of differences negative."""
        try:
            return max(0.0, 1e-6 * self._sum(architecture))
        except KeyError:
            return 0.0

    @cached_property
    def _learned(self) -> LatencyPredictor:
        return LatencyPredictor(kind="ridge").fit([row for row, _ in self._known], [ms for _, ms in self._known])

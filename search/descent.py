"""The way from any architecture towards constraints that counting decides: local search, which evaluates nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from search.problem import Problem
from search_space import Architecture, UserError

STEPS = 300


def descent(problem: Problem, starts: Sequence[Architecture], generator: np.random.Generator) -> Iterator[Architecture]:
    """From the best of these and the smallest of the space, by mutations that are not worse; each that is as good as
    any before. The last is the nearest that was found.
    """
    current = min([problem.space.smallest(), *starts], key=problem.excess)
    excess = problem.excess(current)
    yield current
    for _ in range(STEPS):
        child = problem.space.mutate(current, generator)
        if (further := problem.excess(child)) <= excess:
            current, excess = child, further
            yield current


def refuse_infeasible(problem: Problem, seed: int) -> None:
    """Raise UserError, with the nearest that was found, where no architecture keeps to what counting decides."""
    generator = np.random.default_rng(seed)
    for nearest in descent(problem, [problem.space.sample(generator) for _ in range(10)], generator):
        if problem.excess(nearest) <= 0:
            return
    row = problem.counted(nearest)
    beyond = [
        f"{constraint}, and the nearest, {nearest.id}, has {row[constraint.metric]:,.0f}"
        for constraint in problem.constraints
        if constraint.metric in row and constraint.violation(row) > 0
    ]
    if beyond:
        raise UserError(f"no architecture was found with {'; '.join(beyond)}; allow that or widen the search space")

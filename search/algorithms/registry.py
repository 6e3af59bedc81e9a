"""The search algorithms by name."""

from __future__ import annotations

from collections.abc import Callable

from search.algorithms.algorithm import Algorithm
from search.algorithms.evolution import Evolution
from search.algorithms.guided import Guided
from search.algorithms.local_search import LocalSearch
from search.algorithms.optuna import NSGAII, NSGAIII, Optuna, gp, tpe
from search.algorithms.random import Random
from search.problem import Problem
from search_space import UserError

ALGORITHMS: dict[str, Callable[[Problem, int], Algorithm]] = {
    "guided": Guided,
    "nsga2": lambda problem, seed: Optuna(problem, seed, "nsga2", NSGAII),
    "nsga3": lambda problem, seed: Optuna(problem, seed, "nsga3", NSGAIII),
    "gp": lambda problem, seed: Optuna(problem, seed, "gp", gp),
    "tpe": lambda problem, seed: Optuna(problem, seed, "tpe", tpe),
    "evolution": Evolution,
    "local_search": LocalSearch,
    "random": Random,
}
"""Each is made from a problem and a seed."""


def make_algorithm(name: str, problem: Problem, seed: int) -> Algorithm:
    """Raises UserError for a name that is not registered."""
    if name not in ALGORITHMS:
        raise UserError(f"search.algorithm={name!r} is unknown; choose among {', '.join(ALGORITHMS)}")
    return ALGORITHMS[name](problem, seed)

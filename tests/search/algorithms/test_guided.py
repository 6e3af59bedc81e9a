"""Guided search proposes what its predictors expect most of, fits them when it should, and repeats itself exactly."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from search.algorithms.guided import Batch, Guided
from search.beliefs import Beliefs
from search.front import hypervolume
from search.improvement import Improvement
from search.problem import Constraint, Objective, Problem
from search_space import Architecture, ChoiceMatrix, PopulationSpace, SearchSpace

Floats = NDArray[np.float64]
Metrics = Callable[[Architecture], dict[str, Any]]


class Knowing:
    """A belief that is right: it looks metrics up, on the scale of what it was fitted to."""

    def __init__(self, space: SearchSpace, metrics: Metrics, name: str, sign: float) -> None:
        self.space, self.metrics, self.name, self.sign = space, metrics, name, sign

    def mean(self, candidates: ChoiceMatrix, /) -> Floats:
        built = [self.space.replay(candidates.choices(i)) for i in range(len(candidates))]
        return np.array([self.sign * self.metrics(architecture)[self.name] for architecture in built])

    def spread(self, candidates: ChoiceMatrix, /) -> tuple[Floats, Floats]:
        return self.mean(candidates), np.full(len(candidates), 1e-9)


def test_with_perfect_predictions_it_goes_straight_to_the_best_within_the_limit(
    conditional: SearchSpace, metrics: Metrics
) -> None:
    """Both metrics are costs, so beliefs are in their own unit."""
    generator = np.random.default_rng(0)
    # Between two values: of what measures exactly the limit, half of all measurements are above.
    limit = 5.0 + float(np.median([metrics(conditional.sample(generator))["params"] for _ in range(300)]))
    problem = Problem(conditional, (Objective("error", False),), (Constraint("params", upper=limit),))

    def measure(architecture: Architecture) -> dict[str, Any]:
        row = metrics(architecture)
        return {"error": 1 - row["accuracy"], "params": row["params"]}

    fitted: list[str] = []

    def fit(table: ChoiceMatrix, values: Floats, is_cost: bool) -> Knowing:
        assert is_cost
        fitted.append("error" if values.max() < 1 else "params")
        return Knowing(conditional, measure, fitted[-1], 1.0)

    algorithm = Guided(problem, 0, fit, fits_at=1.0, population_size=100, num_generations=10)
    rows = []
    for _ in range(20):
        architecture = algorithm.ask()
        rows.append(measure(architecture))
        algorithm.tell(architecture, rows[-1])
    assert fitted == ["error", "params"]
    assert all(problem.violation(row) == 0 for row in rows[12:])
    feasible = [row["error"] for row in rows[:12] if problem.violation(row) == 0]
    assert rows[12]["error"] == min(row["error"] for row in rows[12:]) < min(feasible)


def test_predictors_are_fitted_to_measured_rows_and_only_when_enough_are_new(
    conditional: SearchSpace, metrics: Metrics
) -> None:
    fitted = []

    def count(table: ChoiceMatrix, values: Floats, is_cost: bool) -> Knowing:
        assert len(table) == len(values) and not is_cost
        fitted.append(len(values))
        return Knowing(conditional, metrics, "accuracy", -1.0)

    problem = Problem.parse(conditional, ["accuracy"])
    algorithm = Guided(problem, 0, count, warm_up=4, fits_at=0.5, population_size=20, num_generations=1)
    for trial in range(24):
        architecture = algorithm.ask()
        algorithm.tell(architecture, metrics(architecture) if trial % 2 else {"accuracy": None})
    assert fitted == [4, 6, 9]


def test_a_batch_wins_more_together_than_the_architectures_that_are_best_alone(
    conditional: SearchSpace, metrics: Metrics
) -> None:
    objectives = (Objective("latency_ms", False), Objective("error", False))

    def measure(architecture: Architecture) -> dict[str, Any]:
        row = metrics(architecture)
        return {"error": 1 - row["accuracy"], "latency_ms": row["latency_ms"]}

    problem, generator = Problem(conditional, objectives), np.random.default_rng(0)
    population = PopulationSpace(conditional)
    known, new = (population.matrix(population.sample(count, generator)) for count in (12, 300))
    rows = [measure(conditional.replay(known.choices(i))) for i in range(12)]
    names = iter(problem.metrics)
    beliefs = Beliefs(problem, known, rows, 12, lambda *_: Knowing(conditional, measure, next(names), 1.0))
    together = [measure(architecture) for architecture in islice(Batch(conditional, new, beliefs), 6)]
    means, stds, _ = beliefs.spread(new)
    alone = Improvement(means, stds, beliefs.reference)
    alone.add(beliefs.achieved)
    best = np.argsort(-alone.of(np.arange(300)))[:6]
    apart = [measure(conditional.replay(new.choices(int(i)))) for i in best]
    reference = list(beliefs.reference)
    found = [hypervolume(rows + more, objectives, reference) for more in (apart, together)]
    before = hypervolume(rows, objectives, reference)
    assert found[1] - before > 1.2 * (found[0] - before) > 0


@pytest.mark.slow
def test_proposals_do_not_depend_on_the_order_of_python_s_hashes() -> None:
    program = """
from search.algorithms.guided import Batch, Guided
from search.beliefs import Beliefs
from search.front import hypervolume
from search.improvement import Improvement
from search.problem import Problem
from search_space.staged import StagedSpace, StageSpace
stage = StageSpace((8, 16), (1, 2), {"a": {}, "b": {}, "c": {}}, {"none": {}}, {"d": {}, "e": {}})
problem = Problem.parse(StagedSpace({"s": {}}, {"n": {}}, (stage,)), ["accuracy", "latency_ms"])
algorithm = Guided(problem, 0, warm_up=4, population_size=10, num_generations=2)
for _ in range(12):
    architecture = algorithm.ask()
    print(architecture.id)
    algorithm.tell(architecture, {"accuracy": int(architecture.id, 16) / 2**64, "latency_ms": len(architecture.flat())})
"""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1

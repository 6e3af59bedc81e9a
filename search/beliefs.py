"""What is believed of every objective and constraint of a problem, as losses on scales that guided search can use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from search.problem import Problem, Row
from search.scale import Compressed, Linear, Scale
from search.surrogate import Belief, Fit
from search_space import ChoiceMatrix

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """One metric; less is better on its scale."""

    name: str
    sign: float
    scale: Scale
    belief: Belief

    @classmethod
    def fit(
        cls, problem: Problem, name: str, table: ChoiceMatrix, rows: Sequence[Row], num_first: int, fit: Fit
    ) -> Metric:
        maximise = next((o.maximise for o in problem.objectives if o.metric == name), False)
        sign = -1.0 if maximise else 1.0
        losses = sign * np.array([float(row[name]) for row in rows])
        is_cost = not maximise and bool((losses > 0).all())
        scale: Scale = Linear(float(losses.max())) if is_cost else Compressed.fit(losses, num_first)
        return cls(name, sign, scale, fit(table, scale.forward(losses), is_cost))

    def of(self, rows: Sequence[Row]) -> Floats:
        """(rows,) as measured."""
        return self.scale.forward(self.sign * np.array([float(row[self.name]) for row in rows]))

    def bound(self, value: float) -> float:
        return float(self.scale.forward(np.array([self.sign * value]))[0])


class Beliefs:
    """Predictors of all that a problem names, fitted to rows in which it was measured.

    `num_first` rows, the first, were drawn at random. `counted` are architectures and their rows of the metrics that
    are counted, which is what those are learned from.
    """

    def __init__(
        self,
        problem: Problem,
        table: ChoiceMatrix,
        rows: Sequence[Row],
        num_first: int,
        fit: Fit,
        counted: tuple[ChoiceMatrix, Sequence[Row]] | None = None,
    ) -> None:
        self._problem, self._rows = problem, rows
        known = {name: counted if counted and name in problem.counts else (table, rows) for name in problem.metrics}
        self._metrics = {name: Metric.fit(problem, name, *known[name], num_first, fit) for name in problem.metrics}
        self._objectives = [self._metrics[objective.metric] for objective in problem.objectives]
        # metric, and the ends between which it must lie on its scale
        self._limits: list[tuple[Metric, float, float]] = []
        for constraint in problem.constraints:
            metric = self._metrics[constraint.metric]
            ends = (constraint.lower, constraint.upper)
            low, high = ends if metric.sign > 0 else reversed(ends)
            lower = -np.inf if low is None else metric.bound(low)
            upper = np.inf if high is None else metric.bound(high)
            self._limits.append((metric, lower, upper))

    @property
    def reference(self) -> Floats:
        """(objectives,): losses from which on nothing is won."""
        return np.array([metric.scale.worst for metric in self._objectives])

    @property
    def achieved(self) -> Floats:
        """(points, objectives): the losses of measured rows that satisfy the constraints."""
        feasible = [row for row in self._rows if self._problem.violation(row) <= 0]
        return np.column_stack([metric.of(feasible) for metric in self._objectives])

    def means(self, candidates: ChoiceMatrix) -> tuple[Floats, Floats]:
        """Losses (candidates, objectives) and how far constraints are violated (candidates,), as predicted."""
        means = {name: metric.belief.mean(candidates) for name, metric in self._metrics.items()}
        losses = np.column_stack([means[metric.name] for metric in self._objectives])
        violations = np.zeros(len(losses))
        for metric, lower, upper in self._limits:
            over = np.maximum(means[metric.name] - upper, lower - means[metric.name])
            violations += np.maximum(over, 0.0) / metric.scale.worst
        return losses, violations

    def spread(self, candidates: ChoiceMatrix) -> tuple[Floats, Floats, Floats]:
        """Means and standard deviations (candidates, objectives) of losses, and the chance (candidates,) that all
        constraints are satisfied.
        """
        known = {name: metric.belief.spread(candidates) for name, metric in self._metrics.items()}
        means, stds = (np.column_stack([known[metric.name][i] for metric in self._objectives]) for i in (0, 1))
        chance = np.ones(len(means))
        for metric, lower, upper in self._limits:
            mean, std = known[metric.name]
            chance *= ndtr((upper - mean) / std) - ndtr((lower - mean) / std)
        return means, stds, chance

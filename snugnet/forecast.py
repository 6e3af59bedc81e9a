"""How well predictors do while a search runs: they rank trials before these are measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scipy.stats import kendalltau

from predictors import AccuracyPredictor, LatencyPredictor
from search.problem import Problem
from search_space import Architecture, Scalar, UserError

FIRST, GROWTH = 20, 1.25
"""Measured trials at which predictors are first fitted, and by how much these grow until they are fitted anew."""


class Forecast:
    """For each objective that is measured, Kendall's tau between predictions by the trials before and measurements."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._metrics = [o.metric for o in problem.objectives if o.metric not in problem.counts]
        self._fitted: dict[str, Any] = {}
        self._num_fitted, self._next = 0, FIRST
        self._kendall: dict[str, float] = {}
        self._num_judged = 0

    def learn(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """All trials so far, in their order."""
        measured = [row for row in rows if self._problem.measured(row)]
        if len(measured) < self._next:
            return
        choices = [self._problem.space.choices(Architecture.from_json(row["architecture"])) for row in measured]
        new = slice(self._num_fitted, None)
        for metric in self._metrics:
            values = [float(row[metric]) for row in measured]
            if metric in self._fitted and len(set(values[new])) > 1:
                self._kendall[metric] = kendalltau(self._fitted[metric].predict(choices[new]), values[new]).statistic
            self._fit(metric, choices, values)
        self._num_judged = len(measured) - self._num_fitted if self._num_fitted else 0
        self._num_fitted = len(measured)
        self._next = max(self._num_fitted + 10, int(GROWTH * self._num_fitted))

    def lines(self) -> list[str]:
        return [
            f"{metric} of the last {self._num_judged} was foretold with Kendall's tau {tau:.2f}"
            for metric, tau in self._kendall.items()
        ]

    def _fit(self, metric: str, choices: Sequence[Mapping[str, Scalar]], values: Sequence[float]) -> None:
        make = LatencyPredictor if min(values) > 0 and metric.endswith("_ms") else AccuracyPredictor
        try:
            self._fitted[metric] = make(kind="ridge").fit(choices, values)
        except UserError:  # trials that do not differ
            self._fitted.pop(metric, None)

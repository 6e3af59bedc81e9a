"""Predictors of a run's metrics, always fitted anew from its trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from predictors import AccuracyPredictor, LatencyPredictor
from predictors.report_card import report_card
from search_space import Architecture, Scalar, SearchSpace, UserError
from snugnet.experiment import PredictorSettings
from snugnet.parts import sums_of_parts
from snugnet.progress import say
from snugnet.run import Run

Choices = Mapping[str, Scalar]
Floats = np.ndarray[Any, np.dtype[np.float64]]

Source = tuple[str, list[dict[str, Scalar]], list[float]]
"""As predictors take it: a name, choices and latencies."""

FEWEST_SOURCE_ROWS = 20
"""Of another device, below which it teaches nothing of a new one."""


def sources_of(
    latencies: Sequence[Mapping[str, Any]], parts: Sequence[Mapping[str, Any]], device_id: str, space: SearchSpace
) -> list[Source]:
    """What a run's tables teach a predictor of one device's latencies besides these: the sums of its parts, or where it
    has none the other devices.
    """
    own = [row for row in parts if row["device_id"] == device_id]
    if own:
        try:
            sums = sums_of_parts(own, space)
            return [("parts", [space.choices(architecture) for architecture, _ in sums], [ms for _, ms in sums])]
        except UserError as error:
            say(f"the parts of this device are left out: {error}; measure --parts goes on with them")
    by_device: dict[str, list[Mapping[str, Any]]] = {}
    for row in latencies:
        if row["device_id"] != device_id and not row["error"]:
            by_device.setdefault(row["device_id"], []).append(row)
    return [
        (name, choices_of(rows, space), [row["latency_ms"] for row in rows])
        for name, rows in sorted(by_device.items())
        if len(rows) >= FEWEST_SOURCE_ROWS
    ]


@dataclass(frozen=True)
class Estimates:
    """Predictors of accuracy on the search split and of latency, fitted when first asked for.

    `rows` are trials, `latencies` further rows of the same device, `sources` what else teaches of it.
    """

    rows: Sequence[Mapping[str, Any]]
    space: SearchSpace
    kinds: PredictorSettings
    latencies: Sequence[Mapping[str, Any]] = ()
    sources: Sequence[Source] = ()

    @cached_property
    def accuracy(self) -> AccuracyPredictor:
        predictor = AccuracyPredictor(kind=self.kinds.accuracy)
        return predictor.fit(choices_of(self.rows, self.space), [row["accuracy"] for row in self.rows])

    @cached_property
    def latency(self) -> LatencyPredictor:
        timed = [*{row["id"]: row for row in (*self.rows, *self.latencies)}.values()]
        choices, latencies = choices_of(timed, self.space), [row["latency_ms"] for row in timed]
        return LatencyPredictor(kind=self.kinds.latency).fit(choices, latencies, sources=self.sources)

    def of(self, rows: Sequence[Mapping[str, Any]]) -> Estimates:
        """From other trials."""
        return replace(self, rows=rows)


def choices_of(rows: Sequence[Mapping[str, Any]], space: SearchSpace) -> list[dict[str, Scalar]]:
    return [space.choices(Architecture.from_json(row["architecture"])) for row in rows]


def quality_of_predictors(run: Run) -> dict[str, dict[str, Any]]:
    """Metric -> report card from held-out trials: how far predictors can be trusted here. Empty without trials."""
    rows = [row for row in run.trials.rows() if row["accuracy"] is not None]
    if not rows:
        return {}
    choices, kinds = choices_of(rows, run.experiment.space), run.experiment.predictors
    makers: dict[str, Callable[[], Any]] = {
        "accuracy": lambda: AccuracyPredictor(kind=kinds.accuracy),
        "latency_ms": lambda: LatencyPredictor(kind=kinds.latency),
    }
    cards = {
        metric: report_card(choices, [row[metric] for row in rows], make, seed=run.experiment.seed).as_dict()
        for metric, make in makers.items()
    }
    # A width is infinite where rows are too few for an interval, and JSON has no infinity.
    return {
        metric: {key: None if value == float("inf") else value for key, value in card.items()}
        for metric, card in cards.items()
    }

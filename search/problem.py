"""What is searched for: a space, objectives with their directions, and constraints. No algorithm is known here."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from search_space import Architecture, SearchSpace, UserError

Row = Mapping[str, Any]
"""One finished trial: metric name -> value; a metric that is None, NaN or absent was not measured."""

MAXIMISED = {
    "accuracy": True,
    "loss_nats": False,
    "latency_ms": False,
    "params": False,
    "flops": False,
    "activations": False,
    "peak_bytes": False,
}
"""The metrics a search may use, and whether more of each is better."""

Count = Callable[[Architecture], float]
"""A metric that is known exactly without evaluating."""

_CONSTRAINT = re.compile(r"\s*(\w+)\s*(<=|>=)\s*(\S+)\s*")


class Evaluate(Protocol):
    """Measures architectures: one row of metrics for each, in order."""

    def __call__(self, architectures: list[Architecture], /) -> Sequence[Row]: ...


@dataclass(frozen=True)
class Objective:
    """A metric to be made as large or as small as possible."""

    metric: str
    maximise: bool

    @classmethod
    def parse(cls, text: str) -> Objective:
        """The objective a metric's name stands for; its direction is the metric's own. Raises UserError."""
        if text not in MAXIMISED:
            raise UserError(f"objective {text!r} is not a metric; choose among {', '.join(MAXIMISED)}")
        return cls(text, MAXIMISED[text])

    def loss(self, row: Row) -> float:
        """The metric with the sign under which less is better. The metric must have been measured."""
        return -float(row[self.metric]) if self.maximise else float(row[self.metric])


@dataclass(frozen=True)
class Constraint:
    """Bounds that a metric must respect, either of which may be absent."""

    metric: str
    upper: float | None = None
    lower: float | None = None

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Read `latency_ms <= 5` or `accuracy >= 0.8`. Raises UserError."""
        match = _CONSTRAINT.fullmatch(text)
        if match is None:
            raise UserError(f"constraint {text!r} must be a metric, <= or >=, and a number, such as 'latency_ms <= 5'")
        metric, sign, bound = match.groups()
        if metric not in MAXIMISED:
            raise UserError(f"constraint {text!r} names no metric; choose among {', '.join(MAXIMISED)}")
        try:
            value = float(bound)
        except ValueError:
            value = math.nan
        if not (0 < value < math.inf) or (metric == "accuracy" and value > 1):
            accepted = "a fraction above 0 and up to 1" if metric == "accuracy" else "a positive number"
            raise UserError(f"constraint {text!r} has the bound {bound!r}; {metric} takes {accepted}")
        return cls(metric, upper=value) if sign == "<=" else cls(metric, lower=value)

    def violation(self, row: Row) -> float:
        """How far the metric is beyond its bound, as a share of that bound; 0 or less when the constraint is satisfied.

        The metric must have been measured.
        """
        value = float(row[self.metric])
        over = -math.inf if self.upper is None else (value - self.upper) / (abs(self.upper) or 1.0)
        under = -math.inf if self.lower is None else (self.lower - value) / (abs(self.lower) or 1.0)
        return max(over, under)

    def __str__(self) -> str:
        bounds = [] if self.upper is None else [f"{self.metric} <= {self.upper:g}"]
        return " and ".join(bounds if self.lower is None else [*bounds, f"{self.metric} >= {self.lower:g}"])


@dataclass(frozen=True)
class Problem:
    """A search space, at least one objective, and any number of constraints.

    `counts` are the metrics that are counted instead of measured: nothing that violates their constraints is evaluated.
    """

    space: SearchSpace
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    counts: Mapping[str, Count] = field(default_factory=dict)

    @classmethod
    def parse(
        cls,
        space: SearchSpace,
        objectives: Sequence[str],
        constraints: Sequence[str] = (),
        counts: Mapping[str, Count] | None = None,
    ) -> Problem:
        """From the `[search]` section: `objectives = ["accuracy", "latency_ms"]`, `constraints = ["params <= 200000"]`.

        Raises UserError.
        """
        if not objectives:
            raise UserError(f"search.objectives is empty; name at least one of {', '.join(MAXIMISED)}")
        if len(set(objectives)) < len(objectives):
            raise UserError(f"search.objectives={list(objectives)} names a metric twice")
        return cls(
            space,
            tuple(Objective.parse(text) for text in objectives),
            tuple(Constraint.parse(text) for text in constraints),
            counts or {},
        )

    @property
    def metrics(self) -> list[str]:
        """What objectives and constraints need, each once."""
        return [*dict.fromkeys([o.metric for o in self.objectives] + [c.metric for c in self.constraints])]

    def measured(self, row: Row) -> bool:
        """Whether every metric that an objective or a constraint needs was measured."""
        return measured(row, self.metrics)

    def losses(self, row: Row) -> list[float]:
        """One number for each objective; less is better."""
        return [objective.loss(row) for objective in self.objectives]

    def violation(self, row: Row) -> float:
        """The sum of what is violated, each constraint as a share of its bound; 0 when all are satisfied."""
        return violated(self.constraints, row)

    def counted(self, architecture: Architecture) -> dict[str, float]:
        """Those metrics that are counted, of all that are needed."""
        return {name: self.counts[name](architecture) for name in self.metrics if name in self.counts}

    def excess(self, architecture: Architecture) -> float:
        """What is violated of the constraints that counting decides, as `violation`."""
        decided = [constraint for constraint in self.constraints if constraint.metric in self.counts]
        row = {c.metric: self.counts[c.metric](architecture) for c in decided}
        return violated(decided, row)


def violated(constraints: Sequence[Constraint], row: Row) -> float:
    """The sum of what is violated of these."""
    return sum(max(0.0, constraint.violation(row)) for constraint in constraints)


def measured(row: Row, metrics: Sequence[str]) -> bool:
    """Whether the row has a finite number for each of the metrics."""
    return all(row.get(metric) is not None and math.isfinite(row[metric]) for metric in metrics)

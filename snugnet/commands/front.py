"""`snugnet front`: the Pareto front of a run's trials, as a table, a picture and its hypervolume."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.front import hypervolume, pareto_front
from search.outcome import SearchOutcome, nearest_of, none_feasible
from search_space import Architecture, UserError
from snugnet.picture import front_picture
from snugnet.run import Run

SHOWN = ("accuracy", "loss_nats", "latency_ms", "params", "flops")


@dataclass(frozen=True)
class Front:
    """`rows` are the front's trials, best first in the first objective."""

    rows: list[dict[str, Any]]
    objectives: tuple[str, ...]
    num_trials: int
    num_feasible: int
    num_failed: int
    hypervolume: float
    reference: dict[str, float]
    outcome: SearchOutcome
    picture: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "objectives": list(self.objectives),
            "num_trials": self.num_trials,
            "num_feasible": self.num_feasible,
            "num_failed": self.num_failed,
            "hypervolume": self.hypervolume,
            "reference": self.reference,
            "picture": str(self.picture) if self.picture else None,
            "nearest": None if self.rows else nearest_of(self.outcome),
            "front": [
                {**row, "architecture": Architecture.from_json(row["architecture"]).to_dict()} for row in self.rows
            ],
        }

    def text(self) -> str:
        lines = [f"{'id':<18}" + "".join(f"{metric:>13}" for metric in SHOWN)]
        lines += [
            f"{row['id']:<18}" + "".join(f"{shown(metric, row[metric]):>13}" for metric in SHOWN) for row in self.rows
        ]
        reference = ", ".join(f"{metric} {shown(metric, value)}" for metric, value in self.reference.items())
        failed = f"; {self.num_failed} failed" if self.num_failed else ""
        feasible = f"{self.num_feasible} are feasible{failed}"
        lines.append(f"{len(self.rows)} of {self.num_trials} trials are on the front; {feasible}")
        lines.append(f"hypervolume {self.hypervolume:.6g} against the reference point {reference}")
        if not self.rows:
            lines = [f"{self.num_trials} trials: {none_feasible(self.outcome)}"]
        return "\n".join([*lines, f"picture: {self.picture}"])


def shown(metric: str, value: float | None) -> str:
    """A metric's value as a person reads it."""
    if value is None:
        return "-"
    return {"accuracy": f"{value:.4f}", "loss_nats": f"{value:.4f}", "latency_ms": f"{value:.3f}"}.get(
        metric, f"{value:,.0f}"
    )


def front(run: Path, *, out: Path | None = None) -> Front:
    """The front of the finished trials, drawn into `out`, which is `front.png` beside them unless given.

    Raises UserError where there is nothing to show.
    """
    opened = Run.open(Path(run))
    found, problem = read_front(opened), opened.experiment.problem
    picture = Path(out) if out else opened.folder / "front.png"
    front_picture(picture, found.outcome.rows, found.rows, problem.objectives)
    return dataclasses.replace(found, picture=picture)


def read_front(run: Run) -> Front:
    """The same without a picture; nothing is written."""
    problem, settings = run.experiment.problem, run.experiment.search
    rows = run.trials.rows()
    if not rows:
        raise UserError(f"{run.folder} has no trials; run: snugnet search {run.folder} --trials 100")
    measured = [row for row in rows if problem.measured(row)]
    if not measured:
        raise UserError(f"none of the {len(rows)} trials in {run.folder} has all of {', '.join(settings.objectives)}")
    best_first = problem.objectives[0]
    members = sorted(pareto_front(measured, problem.objectives, problem.constraints), key=best_first.loss)
    worst = {o.metric: max((row for row in measured), key=o.loss)[o.metric] for o in problem.objectives}
    return Front(
        rows=members,
        objectives=settings.objectives,
        num_trials=len(rows),
        num_feasible=sum(problem.violation(row) == 0 for row in measured),
        num_failed=len(rows) - len(measured),
        hypervolume=hypervolume(members, problem.objectives, list(worst.values())),
        reference=worst,
        outcome=SearchOutcome(problem, measured, "complete"),
    )

"""`snugnet search --table`: an algorithm on a finished table, whose true front is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search.front import hypervolume, pareto_front
from search.replay import run
from search.table import TableProblem
from search_space import UserError
from snugnet.progress import Progress
from studies.reading import read_table

Rows = Sequence[Mapping[str, Any]]

REFERENCE_QUANTILE = 0.75
"""Of the losses of all candidates: the reference point is what three in four are better than."""


@dataclass(frozen=True)
class TableSearched:
    """`front` are the rows that no other evaluated one dominates. `reached` is, by number of evaluations, the share of
    the true front's hypervolume; with one objective the regret: how much worse the best is than the table's.
    """

    table: Path
    algorithm: str
    seed: int
    problem: TableProblem
    rows: list[dict[str, Any]]
    front: list[dict[str, Any]]
    reached: dict[int, float | None]
    reference: dict[str, float]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        measure = "regret" if len(self.problem.objectives) == 1 else "hypervolume_share"
        return {
            "table": str(self.table),
            "algorithm": self.algorithm,
            "seed": self.seed,
            "num_candidates": self.problem.space.size,
            "num_left_out": self.problem.num_left_out,
            measure: {str(count): value for count, value in self.reached.items()},
            "reference": self.reference,
            "seconds": self.seconds,
            "front": self.front,
            "rows": self.rows,
        }

    def text(self) -> str:
        problem = self.problem
        candidates = f"{problem.space.size:,} candidates"
        if problem.num_left_out:
            candidates += f" ({problem.num_left_out:,} rows left out: repeated features, or no number)"
        lines = [f"{candidates}; {self.algorithm}, {len(self.rows)} evaluated in {self.seconds:.1f} s"]
        if not self.front:
            nearest = min(self.rows, key=problem.violation)
            misses = ", ".join(
                f"{constraint} by {100 * constraint.violation(nearest):.0f}%"
                for constraint in problem.constraints
                if constraint.violation(nearest) > 0
            )
            return "\n".join(
                [*lines, f"none of them is feasible; the nearest, trial {nearest['trial']}, misses {misses}"]
            )
        columns = ["trial", *problem.metrics]
        widths = [max(12, len(name) + 2) for name in columns]
        lines.append("".join(f"{name:>{width}}" for name, width in zip(columns, widths, strict=True)))
        for row in self.front:
            cells = (f"{row[name]:.6g}" for name in columns)
            lines.append("".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))
        lines.append(f"{len(self.front)} of {len(self.rows)} are on the front")
        shown = ", ".join(f"{_shown(value)} after {count}" for count, value in self.reached.items())
        if len(problem.objectives) == 1:
            return "\n".join([*lines, f"worse than the table's best by {shown}"])
        reference = ", ".join(f"{name} {value:.6g}" for name, value in self.reference.items())
        return "\n".join([*lines, f"share of the true front's hypervolume: {shown} (reference point {reference})"])


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def search_table(
    table: Path,
    *,
    features: Sequence[str],
    minimize: Sequence[str] = (),
    maximize: Sequence[str] = (),
    at_most: Mapping[str, float] | None = None,
    at_least: Mapping[str, float] | None = None,
    algorithm: str = "guided",
    trials: int = 100,
    seed: int = 0,
) -> TableSearched:
    """Replay a finished table, a Parquet, CSV or JSONL file, as the objective. Raises UserError."""
    try:
        problem = TableProblem(
            read_table(Path(table)),
            features=features,
            minimize=minimize,
            maximize=maximize,
            at_most=at_most,
            at_least=at_least,
        )
    except UserError as error:
        raise error if str(table) in str(error) else UserError(f"{table}: {error}") from None
    progress, started = Progress("trials", trials), time.perf_counter()
    rows = run(problem, algorithm=algorithm, trials=trials, seed=seed, on_row=lambda _: progress(progress.done + 1))
    seconds = time.perf_counter() - started
    rows = [{"trial": i, **row} for i, row in enumerate(rows)]
    everything = problem.evaluate([*problem.space.enumerate()])
    worst = np.quantile([problem.losses(row) for row in everything], REFERENCE_QUANTILE, axis=0)
    signs = [-1.0 if objective.maximise else 1.0 for objective in problem.objectives]
    reference = [float(sign * loss) for sign, loss in zip(signs, worst, strict=True)]
    counts = [count for count in (25, 50, 100, 200, 400, 800, 1600) if count < len(rows)] + [len(rows)]
    judge = _judge(problem, everything, reference)
    front = pareto_front(rows, problem.objectives, problem.constraints)
    return TableSearched(
        table=Path(table),
        algorithm=algorithm,
        seed=seed,
        problem=problem,
        rows=rows,
        front=sorted(front, key=problem.losses),
        reached={count: judge(rows[:count]) for count in counts},
        reference=dict(zip((objective.metric for objective in problem.objectives), reference, strict=True)),
        seconds=seconds,
    )


def _judge(problem: TableProblem, everything: Rows, reference: list[float]) -> Callable[[Rows], float | None]:
    """The share of the hypervolume, or with one objective the regret; None where no row is feasible."""

    def feasible(rows: Rows) -> Rows:
        return [row for row in rows if problem.violation(row) <= 0]

    def best(rows: Rows) -> float | None:
        return min((problem.losses(row)[0] for row in feasible(rows)), default=None)

    def regret(rows: Rows) -> float | None:
        found = best(rows)
        return None if found is None or true_best is None else found - true_best

    def share(rows: Rows) -> float | None:
        return hypervolume(feasible(rows), problem.objectives, reference) / whole if whole > 0 else None

    if len(problem.objectives) == 1:
        true_best = best(everything)
        return regret
    whole = hypervolume(feasible(everything), problem.objectives, reference)
    return share

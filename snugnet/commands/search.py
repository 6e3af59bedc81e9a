"""`snugnet search`: multi-objective search of a run's space, on workers of a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from search.algorithms.registry import make_algorithm
from search.cluster import LOCAL
from search.crew import Crew
from search.descent import refuse_infeasible
from search.launch import run_search
from search.outcome import SearchOutcome, nearest_of, none_feasible
from search_space import UserError
from snugnet.estimates import quality_of_predictors
from snugnet.evaluator import Carried
from snugnet.live import LiveSearch
from snugnet.progress import Interrupted, say, stop_on_signal
from snugnet.run import Run


@dataclass(frozen=True)
class Searched:
    """The trials of a run, and how good predictors fitted on them are."""

    folder: Path
    outcome: SearchOutcome
    predictors: dict[str, dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        outcome = self.outcome
        nearest = outcome.nearest
        return {
            "run": str(self.folder),
            "num_trials": len(outcome.rows),
            "num_failed": sum(bool(row.get("error")) for row in outcome.rows),
            "ending": outcome.ending,
            "front": [row["id"] for row in outcome.front],
            "nearest": None if outcome.front or not nearest else nearest_of(outcome),
            "predictors": self.predictors,
        }

    def text(self) -> str:
        outcome = self.outcome
        why = {"exhausted": " (the whole space)"}
        lines = [f"{len(outcome.rows)} trials{why.get(outcome.ending, '')}: {self.folder / 'trials'}"]
        failed = [row["error"] for row in outcome.rows if row.get("error")]
        if failed:
            lines.append(f"{len(failed)} of them failed; the last one: {failed[-1].splitlines()[-1]}")
        if outcome.front:
            lines.append(f"{len(outcome.front)} of them on the Pareto front")
        elif outcome.nearest:
            lines.append(none_feasible(outcome))
        for metric, card in self.predictors.items():
            lines.append(
                f"predicting {metric} on held-out trials: Kendall tau {_shown(card['kendall'])}, MAPE "
                f"{_shown(card['mape'], percent=True)}, 90% intervals cover {_shown(card['coverage'], percent=True)}"
            )
            if not card["trustworthy"]:
                lines.append(f"  not trustworthy: {card['reason']}")
        return "\n".join([*lines, f"next: snugnet front {quote(str(self.folder))}"])


def _shown(value: float | None, percent: bool = False) -> str:
    return "-" if value is None else f"{100 * value:.1f}%" if percent else f"{value:.2f}"


def search(run: Path, *, trials: int, address: str = LOCAL, on: str | None = None) -> Searched:
    """Search until the run has that many trials; each is stored before the algorithm learns of it.

    `on` is the resource that machines of the cluster name which have the device: latencies are measured there alone.
    Raises UserError where the run is not trained, or the cluster cannot be reached, and Interrupted after SIGINT.
    """
    if trials < 1:
        raise UserError(f"trials={trials} must be at least 1")
    if on is not None and address == LOCAL:
        raise UserError(f"--on {on} names a worker of a Ray cluster; give its --address too")
    opened = Run.open(Path(run))
    settings, seed = opened.experiment.search, opened.experiment.seed
    problem = opened.problem
    algorithm = make_algorithm(settings.algorithm, problem, seed)
    rows, crews = opened.trials.rows(), list[Crew]()
    if any(row["supernet"] not in (None, opened.supernet_hash) for row in rows):
        raise UserError(f"{run}/trials belong to another supernet than {opened.supernet_path}; begin a new run")
    if len(rows) < trials:
        crews = _crews(opened, on)
        refuse_infeasible(problem, seed)
        size = f"{opened.experiment.space.size:,}"
        say(f"searching {size} architectures with {settings.algorithm}, {len(rows)} trials so far")
    with opened.exclusive(), stop_on_signal() as stop, LiveSearch(problem, trials, rows) as live:

        def keep(finished: list[dict[str, Any]]) -> None:
            opened.keep_trials(finished)
            live.add(finished)

        outcome = run_search(
            algorithm,
            crews,
            rows,
            trials,
            keep,
            address=address,
            batch_size=settings.batch_size,
            packages=opened.experiment.packages,
            stop=stop,
        )
    if outcome.ending == "interrupted":
        raise Interrupted(
            f"interrupted after {len(outcome.rows)} of {trials} trials, which are kept; the same command continues"
        )
    return Searched(opened.folder, outcome, quality_of_predictors(opened))


def _crews(run: Run, on: str | None) -> list[Crew]:
    """Workers that measure all, or, where the device is on some machines only, workers for accuracy beside those."""
    settings = run.experiment.search
    threads, patience = settings.latency.threads, settings.timeout_s
    if on is None:
        return [Crew(Carried(run.evaluator), cpus=threads, workers=settings.workers, timeout_s=patience)]
    inherited = run.inherited(run.supernet, run.supernet_hash)
    return [
        Crew(Carried(inherited), workers=settings.workers, timeout_s=patience),
        Crew(Carried(run.timing), cpus=threads, resources={on: 1.0}, timeout_s=patience),
    ]

"""`snugnet audit`: how far a supernet's weights can be trusted, by training some of its architectures alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search.algorithms.listed import Listed
from search.crew import Crew
from search.launch import run_search
from search.problem import Problem
from search_space import UserError
from snugnet.agreement import FEWEST, TRUSTED_KENDALL, Agreement, Floats, agreement
from snugnet.compute import Compute, compute
from snugnet.evaluator import Carried
from snugnet.gap_picture import gap_picture
from snugnet.intervals import Interval
from snugnet.pairs import PAIRS, Pairs
from snugnet.progress import Interrupted, Progress, say, stop_on_signal
from snugnet.run import Run
from snugnet.strata import MOST, stratified
from studies.table import Table


@dataclass(frozen=True)
class Audited:
    """Some architectures with inherited weights and trained alone.

    `rows` are those of architectures trained with every seed, a list for each; `largest`, of the space's largest,
    which the strata need not contain. `left_aside` rows of the table are of other weights or other epochs.
    """

    folder: Path
    num_rows: int
    epochs: int
    num_seeds: int
    rows: list[list[dict[str, Any]]]
    largest: dict[str, Any] | None
    errors: list[str]
    left_aside: int
    compute: Compute | None
    agreement: Agreement

    @property
    def picture(self) -> Path:
        return self.folder / "audit.png"

    def as_dict(self) -> dict[str, Any]:
        return {
            "run": str(self.folder),
            "epochs": self.epochs,
            "num_seeds": self.num_seeds,
            "search_rows": self.num_rows,
            "architectures": [_summary(each) for each in self.rows],
            "largest": self.largest and _summary([self.largest]),
            "failed": len(self.errors),
            "left_aside": self.left_aside,
            **self.agreement.as_dict(),
            "compute": self.compute and {**asdict(self.compute), "ratio": self.compute.ratio},
            "picture": str(self.picture),
        }

    def text(self) -> str:
        found = self.agreement
        spread = f"{'+-':>7}" if self.num_seeds > 1 else ""
        lines = [f"{'id':<18}{'params':>9}{'MFLOPs':>9}{'inherited':>11}{'alone':>9}{spread}{'gap':>8}"]
        lines += [_line(each, self.num_seeds) for each in sorted(self.rows, key=lambda each: each[0]["forward_flops"])]
        if self.largest:
            lines.append(f"{_line([self.largest], self.num_seeds)}  the largest, not counted below")
        seeds = f", {self.num_seeds} seeds each" if self.num_seeds > 1 else ""
        lines.append(
            f"{len(self.rows)} architectures, alone for {self.epochs} epochs{seeds}; accuracy on the {self.num_rows:,} "
            "rows of the search split, which no training has seen; intervals are of 90%"
        )
        lines.append(
            f"gap: mean {_shown(found.mean_gap)} points, worst {found.worst_gap:.2f}; "
            f"{found.within_1_point:.0%} lose at most 1 point against training alone"
        )
        lines.append(f"ranking: Kendall's tau {_shown(found.kendall)}, Spearman {_shown(found.spearman)}")
        if found.between_seeds is not None:
            lines.append(f"         two seeds alone rank them with Kendall's tau {found.between_seeds:.2f}")
        if self.compute:
            lines.append(self.compute.text())
        if self.errors:
            lines.append(f"left out: {len(self.errors)} trainings that failed; the last one: {self.errors[-1]}")
        if self.left_aside:
            lines.append(f"left aside: {self.left_aside} rows of other weights or other epochs")
        lines.append(f"table: {self.folder / 'audit'}, picture: {self.picture}")
        return "\n".join([*lines, verdict(found)])


UNDERTRAINED = -3.0
"""Points of the mean gap below which it is training alone that falls short."""


def verdict(found: Agreement) -> str:
    """Whether the ranking can be trusted, and by which rule."""
    rule = f"{TRUSTED_KENDALL:g} (three of four pairs in the right order)"
    if found.kendall is None:
        return "The ranking cannot be trusted: all accuracies are equal."
    if found.trusted:
        return f"The ranking can be trusted: the interval of Kendall's tau lies above {rule}."
    if found.mean_gap.high < UNDERTRAINED:
        return (
            f"The ranking cannot be judged: inherited weights are {-found.mean_gap.value:.1f} points better, so "
            "the networks alone are not trained to their end; give more --epochs."
        )
    return (
        f"The ranking cannot be trusted: the interval of Kendall's tau begins at {found.kendall.low:.2f}, "
        f"below {rule}. Let the supernet find candidates, and judge them by training each alone."
    )


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One architecture; the accuracy alone is the mean over its seeds."""
    alone = [row["alone"] for row in rows]
    names = ("id", "params", "forward_flops", "inherited")
    gap = 100 * (float(np.mean(alone)) - rows[0]["inherited"])
    return {**{name: rows[0][name] for name in names}, "alone": float(np.mean(alone)), "by_seed": alone, "gap": gap}


def _line(rows: list[dict[str, Any]], num_seeds: int) -> str:
    one = _summary(rows)
    spread = f"{100 * np.std(one['by_seed'], ddof=1):>7.2f}" if len(rows) > 1 else " " * 7 if num_seeds > 1 else ""
    return (
        f"{one['id']:<18}{one['params']:>9,}{one['forward_flops'] / 1e6:>9.2f}{100 * one['inherited']:>10.2f}%"
        f"{100 * one['alone']:>8.2f}%{spread}{one['gap']:>8.2f}"
    )


def _shown(found: Interval | None) -> str:
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})" if found else "-"


MOST_SEEDS = 100
"""An average over more tells nothing new."""


def audit(
    run: Path, *, architectures: int = 20, seeds: int = 1, epochs: int | None = None, address: str = "local"
) -> Audited:
    """Train architectures stratified by FLOPs alone, on Ray, and compare them with the supernet's; continues where an
    earlier audit stopped. `epochs` are those in which the largest alone costs as much as the supernet unless given; the
    seeds are the run's and those after it.

    Raises UserError where the run is not trained, or the cluster cannot be reached, and Interrupted after SIGINT.
    """
    for name, value, least in (("architectures", architectures, FEWEST), ("seeds", seeds, 1), ("epochs", epochs, 1)):
        if value is not None and value < least:
            raise UserError(f"{name}={value} must be at least {least}")
    if seeds > MOST_SEEDS:
        raise UserError(f"seeds={seeds} must be at most {MOST_SEEDS}")
    if architectures > MOST:
        raise UserError(f"architectures={architectures} would each be trained alone; at most {MOST}")
    opened = Run.open(Path(run))
    experiment, settings, first = opened.experiment, opened.experiment.supernet, opened.experiment.seed
    history = opened.checkpoint[1]["history"]
    epochs = epochs or opened.epochs_alone
    num_steps = settings.num_steps(len(opened.data.train), epochs)
    chosen, largest = stratified(experiment.space, opened.task, first, architectures), experiment.space.largest()
    if len(chosen) < FEWEST:
        raise UserError(f"this space has {len(chosen)} architectures of different sizes; an audit needs {FEWEST}")
    if architectures > len(chosen):
        raise UserError(f"architectures={architectures} must be at most {len(chosen)} in this space; ask for fewer")
    wanted = dict.fromkeys(range(first, first + seeds), chosen)
    wanted[first] = [largest, *(a for a in chosen if a.id != largest.id)]
    table = Table(opened.folder / "audit", PAIRS)
    ours = {"supernet": opened.supernet_hash, "num_steps": num_steps}

    def stored() -> dict[tuple[str, int], dict[str, Any]]:
        return {(row["id"], row["seed"]): row for row in table.rows() if ours.items() <= row.items()}

    known = stored()
    missing = {seed: [a for a in wanted[seed] if (a.id, seed) not in known] for seed in wanted}
    total, num_missing = sum(map(len, wanted.values())), sum(map(len, missing.values()))
    progress = Progress("trained alone", total, total - num_missing)

    def keep(finished: list[dict[str, Any]]) -> None:
        table.append([{name: row.get(name) for name in PAIRS.names} | ours for row in finished])
        progress(progress.done + len(finished))

    if num_missing:
        say(f"training {num_missing} networks alone for {num_steps} steps each; {total - num_missing} are done")
    with opened.exclusive():
        for seed in filter(missing.__getitem__, missing):
            pairs = Pairs(opened.supernet, opened.data, settings, num_steps, seed, experiment.components)
            with stop_on_signal() as stop:
                outcome = run_search(
                    Listed(Problem.parse(experiment.space, ["accuracy"]), seed, missing[seed]),
                    Crew(Carried(pairs), workers=experiment.search.workers),
                    [],
                    len(missing[seed]),
                    keep,
                    address=address,
                    batch_size=1,
                    packages=experiment.packages,
                    stop=stop,
                )
            if outcome.ending == "interrupted":
                raise Interrupted(
                    f"interrupted after {progress.done} of {total} networks, which are kept; the same command continues"
                )
    known = stored()
    rows = [[known[a.id, seed] for seed in wanted] for a in chosen]
    complete = [each for each in rows if not any(row["error"] for row in each)]
    errors = [row["error"].splitlines()[-1] for each in rows for row in each if row["error"]]
    if len(complete) < FEWEST:
        raise UserError(f"only {len(complete)} of {architectures} architectures could be trained alone: {errors[-1]}")
    alone = known[largest.id, first]
    audited = Audited(
        folder=opened.folder,
        num_rows=len(opened.data.search),
        epochs=epochs,
        num_seeds=seeds,
        rows=complete,
        largest=None if alone["error"] else alone,
        errors=errors,
        left_aside=sum(not ours.items() <= row.items() for row in table.rows()),
        compute=None if alone["error"] else compute(history[-1], alone, settings),
        agreement=agreement(*_accuracies(complete), first),
    )
    mflops = np.array([each[0]["forward_flops"] / 1e6 for each in complete])
    gap_picture(audited.picture, *_accuracies(complete), mflops, audited.num_rows)
    return audited


def _accuracies(rows: list[list[dict[str, Any]]]) -> tuple[Floats, Floats]:
    """Inherited (architectures,) and alone (architectures, seeds)."""
    inherited = np.array([each[0]["inherited"] for each in rows])
    return inherited, np.array([[row["alone"] for row in each] for each in rows])

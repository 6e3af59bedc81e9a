"""What predictions and latency budgets are worth on a space of one's own, on this machine.

A trained run is copied into the folder of results and then used by its commands, so an interrupted benchmark continues:

* `measure --parts --architectures 100`: predictors fitted to the first 5 to all of these latencies, with the parts and
  without, predict those of 500 random architectures; each decision of these is uniform. Both are measured in turn, ten
  and fifty at a time, each time in a process of their own, so that the machine is as noisy for the ones as for the
  others, and what is special to one process does not pass for the truth.
* `search --trials 200`, and for each of 20 budgets, evenly spaced between the 5th and the 95th percentile of the random
  latencies, `extract --latency-ms`. The subnet is measured anew; its accuracy on the search split is compared with that
  of the best of the 500 that measured within the budget, once and twice: of many that were measured once, the best
  near a limit is often one that was lucky.

    SNUGNET_DATA=/path/to/data python -m benchmarks.own_space runs/fashion_mnist_depthwise --out own_space
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.kept_accuracy import distinct
from predictors import LatencyPredictor
from search_space import Architecture
from snugnet.calibration import read_calibrations, typical
from snugnet.commands.extract import extract
from snugnet.commands.measure import Measured, measure
from snugnet.commands.measure_run import SECONDS
from snugnet.commands.search import search
from snugnet.estimates import choices_of, sources_of
from snugnet.evaluator import inherited, quality_of
from snugnet.latencies import Latencies
from snugnet.progress import Progress
from snugnet.run import Run
from studies.schema import Column, Schema
from studies.table import Table

RANDOM = Schema(
    columns=(
        Column("id", "string", "content hash of the architecture"),
        Column("architecture", "string", "canonical JSON of the architecture"),
        Column("latency_ms", "float", "median latency of one batch"),
        Column("latency_stable", "bool", "whether the measurement settled"),
        Column("accuracy", "float", "on the search split, inherited", unit="fraction"),
    ),
    key=("id",),
)
BUDGETS = Schema(
    columns=(
        Column("number", "int", "of the budget, from the tightest", unit="count"),
        Column("budget_ms", "float", "latency asked for"),
        Column("id", "string", "content hash of the subnet"),
        Column("latency_ms", "float", "median latency, measured after the extraction"),
        Column("latency_low_ms", "float", "lower end of its 95% interval"),
        Column("latency_high_ms", "float", "upper end of its 95% interval"),
        Column("accuracy", "float", "on the search split", unit="fraction"),
        Column("best_accuracy", "float", "of the random architectures within the budget", unit="fraction"),
        Column("best_twice", "float", "of those within it when measured once more", unit="fraction"),
    ),
    key=("number",),
)
NUMBERS = (5, 10, 20, 50, 100)
AT_ONCE, DRAWN, TRIALS, NUM_BUDGETS = 10, 500, 200, 20

Rows = list[dict[str, Any]]


def meter_of(run: Run) -> Latencies:
    """The meter of `measure DIR`."""
    settings = replace(run.experiment.search.latency, max_seconds=SECONDS)
    return Latencies(run.task, settings, typical(run.experiment.space, run.task), read_calibrations(run.folder))


def measure_random(folder: Path, stored: Path, number: int) -> None:
    """Latency and inherited accuracy of so many random architectures into a table, of which some may be known."""
    torch.set_num_threads(1)
    run, table = Run.open(folder), Table(stored, RANDOM)
    drawn, known = distinct(run.experiment.space, number, run.experiment.seed + 1), {row["id"] for row in table.rows()}
    meter = meter_of(run)
    progress = Progress("random architectures", number, len(known))
    for architecture in drawn:
        if architecture.id not in known:
            found = meter.measure(architecture)
            accuracy = quality_of(inherited(run.supernet, architecture, run.data.train), run.data.search).accuracy
            row = {"id": architecture.id, "architecture": architecture.to_json(), "accuracy": accuracy}
            table.append([row | {name: found[name] for name in ("latency_ms", "latency_stable")}])
            progress(progress.done + 1)


def predictions(run: Run, rows: Rows) -> None:
    """Print how well the measured rows predict the random ones, with the parts of the space and without."""
    known = sorted((row for row in run.latencies.rows() if not row["error"]), key=lambda row: row["trial"])
    ids = {row["id"] for row in known}
    new = [row for row in rows if row["id"] not in ids]
    space, truth = run.experiment.space, np.array([row["latency_ms"] for row in new])
    choices, new_choices = choices_of(known, space), choices_of(new, space)
    parts = run.parts.rows()
    sources = {0: [], len(parts): sources_of([], parts, known[0]["device_id"], space)}
    print(f"noise floor of the device {known[0]['noise_floor']:.1%}; {len(new)} latencies predicted from")
    print(f"{'measured':>10}{'parts':>8}{'MAPE':>8}{'within 10%':>12}{'90% intervals cover':>21}")
    for number in NUMBERS:
        latencies = [row["latency_ms"] for row in known[:number]]
        for num_parts, taught in sources.items():
            predictor = LatencyPredictor().fit(choices[:number], latencies, sources=taught)
            errors = np.abs(np.asarray(predictor.predict(new_choices)) / truth - 1)
            low, high = predictor.predict_interval(new_choices)
            covered = f"{np.mean((low <= truth) & (truth <= high)):.1%}" if np.isfinite(high).all() else "endless"
            share = f"{np.mean(errors <= 0.1):.1%}"
            print(f"{number:>10}{num_parts:>8}{errors.mean():>8.1%}{share:>12}{covered:>21}")


def under_budget(run: Run, number: int, budget: float, rows: Rows, folder: Path) -> dict[str, Any]:
    """The row of one budget: a subnet extracted, and measured again from its folder."""
    out = folder / "subnets" / str(number)
    shutil.rmtree(out, ignore_errors=True)
    card = extract(run.folder, out, latency_ms=budget).card
    again = measure(out)
    assert isinstance(again, Measured)
    latency, meter = again.found.latency, meter_of(run)
    within = sorted((row for row in rows if row["latency_ms"] <= budget), key=lambda row: -row["accuracy"])

    def holds(row: dict[str, Any]) -> bool:
        return bool(meter.measure(Architecture.from_json(row["architecture"]))["latency_ms"] <= budget)

    return {
        "number": number,
        "budget_ms": budget,
        "id": card["id"],
        "latency_ms": latency.median_ms,
        "latency_low_ms": latency.low_ms,
        "latency_high_ms": latency.high_ms,
        "accuracy": card["measured"]["search_accuracy"]["value"],
        "best_accuracy": within[0]["accuracy"],
        "best_twice": next(filter(holds, within))["accuracy"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a trained run; it is copied, and stays as it is")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the tables and the copy")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.out / "run"
    if not folder.exists():
        shutil.copytree(options.run, folder.with_name("copy"), dirs_exist_ok=True)
        shutil.rmtree(folder.with_name("copy") / "trials", ignore_errors=True)
        folder.with_name("copy").rename(folder)
    for number in range(AT_ONCE, NUMBERS[-1] + 1, AT_ONCE):
        measure(folder, architectures=number, parts=True)
        wanted = folder, options.out / "random", number * DRAWN // NUMBERS[-1]
        measuring = get_context("spawn").Process(target=measure_random, args=wanted)
        measuring.start()
        measuring.join()
        if measuring.exitcode:
            raise SystemExit("the random architectures could not be measured; the same command continues")
    run, rows = Run.open(folder), Table(options.out / "random", RANDOM).rows()
    predictions(run, rows)
    search(folder, trials=TRIALS)
    table = Table(options.out / "budgets", BUDGETS)
    known = {row["number"]: row for row in table.rows()}
    fastest, slowest = np.percentile([row["latency_ms"] for row in rows], [5, 95])
    progress = Progress("budgets", NUM_BUDGETS, len(known))
    for number, budget in enumerate(np.linspace(fastest, slowest, NUM_BUDGETS)):
        if number not in known:
            known[number] = under_budget(run, number, float(budget), rows, options.out)
            table.append([known[number]])
            progress(progress.done + 1)
    head = f"{'budget ms':>10}{'measured':>10}{'interval':>18}{'accuracy':>10}{'best of random':>16}{'points':>8}"
    print(f"{head}{'best twice':>12}{'points':>8}")
    for row in (known[number] for number in range(NUM_BUDGETS)):
        interval = f"{row['latency_low_ms']:.3f} - {row['latency_high_ms']:.3f}"
        gain, over_twice = (100 * (row["accuracy"] - row[best]) for best in ("best_accuracy", "best_twice"))
        print(
            f"{row['budget_ms']:>10.3f}{row['latency_ms']:>10.3f}{interval:>18}{row['accuracy']:>10.4f}"
            f"{row['best_accuracy']:>16.4f}{gain:>+8.2f}{row['best_twice']:>12.4f}{over_twice:>+8.2f}"
        )
    within = sum(row["latency_ms"] <= row["budget_ms"] for row in known.values())
    near, near_twice = (
        sum(row["accuracy"] >= row[best] - 0.003 for row in known.values()) for best in ("best_accuracy", "best_twice")
    )
    print(f"within the budget: {within} of {NUM_BUDGETS}; within .3 points of the best random: {near}, ", end="")
    print(f"of the best that is within it twice: {near_twice}")


if __name__ == "__main__":
    main()

"""Choosing the most accurate architecture under a latency limit when only 20 of 9,445 have been measured.

Each of the ten devices of NAS-Bench-201 in turn, limits at the 10th, 30th and 50th percentile of its latencies; the
accuracies are known. A choice violates when its measured latency exceeds the limit; regret is how much less accurate it
is, in points, than the best architecture that measures within. `naive` trusts the predictions; `sure` asks for a
probability of 95%; `confirm` measures five more, each the one with the largest probability of being within times what
it would gain over the best that is known to be, fits again each time, and takes the best that measured within.
`sure, 2000` is `sure` with 2,000 measured ones: what the noise of the device leaves to know.

    python -m benchmarks.predictor_selection --out predictor_selection --data $SNUGNET_DATA/predictors

An interrupted benchmark continues where it stopped.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.predictor_tables import Floats, MeasuredTable, read_tables
from predictors import LatencyPredictor
from snugnet.progress import Progress
from studies.schema import Column, Schema
from studies.table import Table

SCHEMA = Schema(
    (
        Column("device", "string", "of NAS-Bench-201"),
        Column("percentile", "int", "of all latencies, the limit", unit="percent"),
        Column("strategy", "string", "naive, sure, confirm, or sure with 2,000 rows"),
        Column("seed", "int", "of the draw of rows", unit="count"),
        Column("violates", "bool", "whether the choice measures above the limit"),
        Column("regret", "float", "accuracy below the best within the limit, never below 0", unit="points"),
    ),
    key=("device", "percentile", "strategy", "seed"),
)
STRATEGIES = ("naive", "sure", "confirm", "sure, 2000")
PERCENTILES = (10, 30, 50)
LABELLED, MANY, CONFIRMED, SURE = 20, 2000, 5, 0.95
NOISY = ("gold_6240_ms", "silver_4114_ms", "samsung_a50_ms")
"""Whose latencies of one and the same network vary by 8 or 9%."""

Row = dict[str, Any]


def pick(within: Floats, values: Floats, sure: float) -> int:
    """The best of those within the limit with such a probability; where none is, the most probable."""
    candidates = np.flatnonzero(within >= sure)
    return int(candidates[np.argmax(values[candidates])]) if len(candidates) else int(np.argmax(within))


def confirm(table: MeasuredTable, targets: Floats, values: Floats, known: list[int], limit: float) -> int:
    """The best that is known to be within the limit after five more measurements; the fastest where none is."""
    known = [*known]
    for left in reversed(range(CONFIRMED)):
        predictor = LatencyPredictor().fit([table.rows[i] for i in known], targets[known])
        within = predictor.predict_within(table.rows, limit)
        good = [i for i in known if targets[i] <= limit]
        gain = np.maximum(values - max(values[good], default=values.min()), 0.0)
        worth = within * gain
        worth[known] = 0.0
        known.append(pick(within, values, SURE) if not good and not left else int(np.argmax(worth)))
    good = [i for i in known if targets[i] <= limit]
    return max(good, key=lambda i: values[i]) if good else min(known, key=lambda i: targets[i])


def choices(table: MeasuredTable, device: str, seed: int) -> Iterator[Row]:
    """The rows of one draw."""
    targets, values = table.columns[device], 100 * table.columns["accuracy"]
    drawn = [int(i) for i in np.random.default_rng(seed).permutation(len(table.rows))[:MANY]]
    known = drawn[:LABELLED]
    predictor, informed = (
        LatencyPredictor().fit([table.rows[i] for i in some], targets[some]) for some in (known, drawn)
    )
    for percentile in PERCENTILES:
        limit = float(np.percentile(targets, percentile))
        within = predictor.predict_within(table.rows, limit)
        chosen = {
            "naive": pick(within, values, 0.5),
            "sure": pick(within, values, SURE),
            "confirm": confirm(table, targets, values, known, limit),
            "sure, 2000": pick(informed.predict_within(table.rows, limit), values, SURE),
        }
        best = values[targets <= limit].max()
        for strategy, i in chosen.items():
            regret = max(float(best - values[i]), 0.0)
            key = {"device": device, "percentile": percentile, "strategy": strategy, "seed": seed}
            yield {**key, "violates": bool(targets[i] > limit), "regret": regret}


def line(label: str, rows: list[Row]) -> str:
    cells = ""
    for strategy in STRATEGIES:
        found = [row for row in rows if row["strategy"] == strategy]
        violations, regret = (np.mean([row[name] for row in found]) for name in ("violates", "regret"))
        cells += f"{violations:>10.1%}{regret:>8.2f}"
    return f"{label:<19}{cells}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the table")
    default = Path(os.environ.get("SNUGNET_DATA", ".")) / "predictors"
    parser.add_argument("--data", type=Path, default=default, help="folder of nb201.parquet")
    parser.add_argument("--seeds", type=int, default=10, help="repetitions (default 10)")
    options = parser.parse_args()
    table, stored = next(iter(read_tables(options.data))), Table(options.out, SCHEMA)
    known: dict[tuple[str, int], list[Row]] = {}
    for row in stored.rows():
        known.setdefault((row["device"], row["seed"]), []).append(row)
    devices = [name for name in table.columns if name.endswith("_ms")]
    progress, everything = Progress("draws", len(devices) * options.seeds), []
    print(f"{'':<19}" + "".join(f"{strategy:>18}" for strategy in STRATEGIES))
    print(f"{'device':<19}" + f"{'violates':>10}{'regret':>8}" * len(STRATEGIES))
    for device in devices:
        rows = []
        for seed in range(options.seeds):
            if (device, seed) not in known:
                known[device, seed] = list(choices(table, device, seed))
                stored.append(known[device, seed])
            rows += known[device, seed]
            progress(progress.done + 1)
        print(line(device, rows), flush=True)
        everything += rows
    noisy = [row for row in everything if row["device"] in NOISY]
    print(line("the noisy three", noisy))
    print(line("the others", [row for row in everything if row["device"] not in NOISY]))
    print(line("all", everything))


if __name__ == "__main__":
    main()

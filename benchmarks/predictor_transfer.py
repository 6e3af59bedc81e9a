"""Predictors of a device that has hardly been measured: 10 or 20 rows of its own, and all rows of other devices.

Each device of NAS-Bench-201 and FBNet in turn is the new one. `all` has all other devices as sources; `gpus` only GPUs,
for a new device that is none. `alone` is the same predictor without sources. Figures are means over seeds, each with
other rows of the new device and up to 2,000 disjoint test rows.

    python -m benchmarks.predictor_transfer --out predictor_transfer --data $SNUGNET_DATA/predictors

An interrupted benchmark continues where it stopped.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.predictor_quality import FIGURES, measures
from benchmarks.predictor_references import Predicted
from benchmarks.predictor_tables import MeasuredTable, read_tables
from predictors import LatencyPredictor
from snugnet.progress import Progress
from studies.schema import Column, Schema
from studies.table import Table

SCHEMA = Schema(
    (
        Column("table", "string", "name of the table"),
        Column("device", "string", "the new one"),
        Column("sources", "string", "all other devices, gpus, or alone"),
        Column("num_rows", "int", "of the new device", unit="count"),
        Column("seed", "int", "of the draw of rows", unit="count"),
        *FIGURES,
    ),
    key=("table", "device", "sources", "num_rows", "seed"),
)
OWN_ROWS = (10, 20)
GPUS = ("1080ti", "2080ti", "titan")
SHOWN = ("spearman", "kendall", "mape", "within_10_percent", "coverage", "width")
SUMMARY = ("spearman", "within_10_percent", "coverage")

Row = dict[str, Any]


def is_gpu(device: str) -> bool:
    return device.startswith(GPUS)


def sources_of(table: MeasuredTable, device: str, which: str) -> list[str]:
    others = [name for name in table.columns if name.endswith("_ms") and name != device]
    return {"alone": [], "gpus": [name for name in others if is_gpu(name)], "all": others}[which]


def compare(table: MeasuredTable, device: str, which: str, num_rows: int, seed: int) -> Row:
    targets, order = table.columns[device], np.random.default_rng(seed).permutation(len(table.rows))
    test = order[-min(2000, len(order) // 3) :]
    known, new = [table.rows[i] for i in order[:num_rows]], [table.rows[i] for i in test]
    sources = [(name, table.rows, table.columns[name]) for name in sources_of(table, device, which)]
    started = time.process_time()
    predictor = LatencyPredictor().fit(known, targets[order[:num_rows]], sources=sources)
    predicted = Predicted(predictor.predict(new), *predictor.predict_interval(new))
    seconds = time.process_time() - started
    key = {"table": table.name, "device": device, "sources": which, "num_rows": num_rows, "seed": seed}
    return {**key, **measures(predicted, targets[test]), "fit_seconds": seconds}


def cells(tables: list[MeasuredTable]) -> Iterator[tuple[MeasuredTable, str, str, int]]:
    for table in tables:
        for device in (name for name in table.columns if name.endswith("_ms")):
            for which in ("alone", "all") if is_gpu(device) else ("alone", "gpus", "all"):
                for num_rows in OWN_ROWS:
                    yield table, device, which, num_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the table")
    default = Path(os.environ.get("SNUGNET_DATA", ".")) / "predictors"
    parser.add_argument("--data", type=Path, default=default, help="folder of nb201.parquet and its sisters")
    parser.add_argument("--seeds", type=int, default=5, help="repetitions (default 5)")
    options = parser.parse_args()
    stored = Table(options.out, SCHEMA)
    known = {tuple(row[name] for name in SCHEMA.key): row for row in stored.rows()}
    wanted = list(cells([table for table in read_tables(options.data) if table.name in ("nb201", "fbnet")]))
    progress = Progress("cells", len(wanted))
    print(f"{'table':<7}{'device':<19}{'sources':<9}{'rows':>4}" + "".join(f"{name[:9]:>10}" for name in SHOWN))
    means: dict[tuple[str, str, int], list[dict[str, float]]] = {}
    for table, device, which, num_rows in wanted:
        rows = []
        for seed in range(options.seeds):
            key = (table.name, device, which, num_rows, seed)
            if key not in known:
                known[key] = compare(table, device, which, num_rows, seed)
                stored.append([known[key]])
            rows.append(known[key])
        figures = {name: float(np.mean([row[name] for row in rows])) for name in SHOWN}
        print(f"{table.name:<7}{device:<19}{which:<9}{num_rows:>4}" + "".join(f"{v:>10.3f}" for v in figures.values()))
        means.setdefault((table.name, which, num_rows), []).append(figures)
        progress(progress.done + 1)
    print(f"\nmean and lowest of the devices{'':<11}" + "".join(f"{name:>18}" for name in SUMMARY))
    for (name, which, num_rows), of_devices in means.items():
        values = [[figures[shown] for figures in of_devices] for shown in SUMMARY]
        found = "".join(f"{np.mean(each):>10.3f}{min(each):>8.3f}" for each in values)
        print(f"{name:<7}{len(of_devices):>2} devices{'':<9}{which:<9}{num_rows:>4}{found}")


if __name__ == "__main__":
    main()

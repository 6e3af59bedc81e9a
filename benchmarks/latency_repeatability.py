"""How well latencies repeat: architectures measured twice, the second time beside processes that compete with them.

    python -m benchmarks.latency_repeatability experiments/fashion_mnist_depthwise.toml --out latency_repeatability

Prints the Spearman rank correlation of both measurements and the median absolute relative difference, for the
experiment's meter, whose five reference networks are of the same space; for a meter with one of them; for a meter with
the fixed reference network; and for the stopwatch's medians. Writes one row per architecture, meter and pass.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from snugnet.calibration import Calibration, drawn, typical
from snugnet.commands.measure_run import SECONDS
from snugnet.experiment import read_experiment
from snugnet.latencies import Latencies
from snugnet.progress import Progress
from snugnet.strata import stratified
from snugnet.timing import device_for
from studies.schema import Column, Schema
from studies.table import Table
from supernet.latency import LatencyMeter
from supernet.network import Task

SCHEMA = Schema(
    (
        Column("id", "string", "content hash of the architecture"),
        Column("reference", "string", "five of the space, one of them, or fixed"),
        Column("load", "string", "what the other processes were busy with"),
        Column("latency_ms", "float", "median latency of one batch, corrected"),
        Column("wall_ms", "float", "the stopwatch's median, uncorrected"),
        Column("drift", "float", "of the reference network", unit="ratio"),
        Column("stable", "bool", "whether the measurement settled"),
    ),
    key=("id", "reference", "load"),
)
LOADS = {
    "core": "while True: pass",
    "memory": "import numpy as np\na = np.ones(8_000_000)\nwhile True: a *= 1.0",
}
NONE = "none"
TASK = Task((1, 28, 28), 10)
"""That of the experiments on Fashion-MNIST: latencies do not need the images."""
Row = dict[str, Any]


@contextmanager
def competing(kind: str, processes: int) -> Iterator[None]:
    """Processes that keep the cores, or the memory, busy."""
    running = [subprocess.Popen([sys.executable, "-c", LOADS[kind]]) for _ in range(0 if kind == NONE else processes)]
    try:
        time.sleep(1)
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def line(label: str, first: list[Row], second: list[Row], column: str) -> str:
    a, b = (np.array([row[column] for row in rows]) for rows in (first, second))
    drift = np.median([row["drift"] for row in second]) if column == "latency_ms" else np.nan
    return f"{label:<34}{spearmanr(a, b).statistic:>10.4f}{np.median(np.abs(b / a - 1)):>24.1%}{drift:>17.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path, help="for images of 28 x 28: only its space is used")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the table")
    parser.add_argument("--architectures", type=int, default=30, help="spread over the FLOPs (default 30)")
    parser.add_argument("--load", type=int, default=2, help="competing processes (default 2)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    experiment = read_experiment(options.experiment)
    device = device_for(experiment.search.latency, TASK)
    architectures = stratified(experiment.space, TASK, experiment.seed, options.architectures)
    own = Calibration.make(device, typical(experiment.space, TASK), TASK)
    single = replace(own, references=own.references[:1], reference_ms=own.reference_ms[:1])
    meters = {
        "space": own.meter(TASK, relative_width=Latencies.relative_width, max_seconds=SECONDS),
        "one": single.meter(TASK, relative_width=Latencies.relative_width, max_seconds=SECONDS),
        "fixed": LatencyMeter(device, relative_width=Latencies.relative_width, max_seconds=SECONDS),
    }
    passes: dict[str, dict[str, list[Row]]] = {}
    progress = Progress("measurements", 3 * len(meters) * len(architectures))
    for load in (NONE, *LOADS):
        with competing(load, options.load):
            for architecture in architectures:
                for name, meter in meters.items():
                    found = meter(drawn(architecture, TASK))
                    row = {"id": architecture.id, "reference": name, "load": load, "latency_ms": found.median_ms}
                    row |= {key: getattr(found, key) for key in ("wall_ms", "drift", "stable")}
                    passes.setdefault(load, {}).setdefault(name, []).append(row)
                    progress(progress.done + 1)
    Table(options.out, SCHEMA).append([row for found in passes.values() for rows in found.values() for row in rows])
    print(f"{len(architectures)} architectures alone, and beside {options.load} processes;", end=" ")
    print(f"noise floor of the device {own.noise_floor:.1%}")
    print(f"{'':<34}{'Spearman':>10}{'|relative difference|':>24}{'reference drift':>17}")
    for load in LOADS:
        alone, beside = passes[NONE], passes[load]
        for name, label in (
            ("space", "references of the space"),
            ("one", "one of them"),
            ("fixed", "fixed reference"),
        ):
            print(line(f"{load}: {label}", alone[name], beside[name], "latency_ms"))
        print(line(f"{load}: stopwatch", alone["space"], beside["space"], "wall_ms"))


if __name__ == "__main__":
    main()

"""Transformable search beside random search: what both find for a FLOP target in the same CPU time.

For each trained run and target, `snugnet transform` works on a copy of the run. Then random architectures within the
same tolerance of the target are evaluated, with the same inherited weights, for as long as that took the CPU. All
accuracies are on the search split; on it the best of many is chosen, so that its own is, if anything, too good.

    python -m benchmarks.transform runs/digits --flops 200000 400000 800000 --out transform
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from snugnet.commands.transform import transform
from snugnet.evaluator import inherited, quality_of
from snugnet.run import Run
from studies.schema import Column, Schema
from studies.table import Table
from supernet.cost import flops_of_parts
from supernet.policies.generator import generate

SCHEMA = Schema(
    columns=(
        Column("supernet", "string", "content hash of the shared weights"),
        Column("alignment", "string", "how two widths are brought together"),
        Column("target_flops", "int", "what was asked for"),
        Column("seed", "int", "of the run", unit="count"),
        Column("accuracy", "float", "of the architecture that was found", unit="fraction"),
        Column("random_mean", "float", "of random architectures within the tolerance", unit="fraction"),
        Column("random_best", "float", "of them", unit="fraction"),
        Column("num_random", "int", "of them in the same CPU time", unit="count"),
        Column("share_beaten", "float", "of them", unit="fraction"),
        Column("search_seconds", "float", "CPU time of the transformable search"),
    ),
    key=("supernet", "alignment", "target_flops"),
)

TOLERANCE = 0.05


def random_accuracies(run: Run, target: int, seconds: float, seed: int) -> list[float]:
    """Of different random architectures within the tolerance of the target, in so much CPU time."""
    generator, found = np.random.default_rng(seed), dict[str, float]()
    flops = flops_of_parts(run.task)
    supernet, started = run.supernet, time.process_time()
    while time.process_time() - started < seconds or not found:
        architecture = generate(run.experiment.space, flops, target, generator)
        if architecture.id not in found and abs(flops(architecture) / target - 1) <= TOLERANCE:
            network = inherited(supernet, architecture, run.data.train)
            found[architecture.id] = quality_of(network, run.data.search).accuracy
    return list(found.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="trained runs")
    parser.add_argument("--flops", type=int, nargs="+", required=True, help="targets")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the table")
    parser.add_argument("--epochs", type=int, help="of the search (default: half the supernet's)")
    parser.add_argument("--alignment", choices=("zeros", "interpolation"), default="zeros")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = Table(options.out, SCHEMA)
    rows = {tuple(row[name] for name in SCHEMA.key): row for row in table.rows()}
    print(f"{'seed':>4}{'FLOPs':>10}{'found':>8}{'random mean':>13}{'best':>8}{'of':>6}{'beaten':>8}{'CPU':>8}")
    for folder in options.runs:
        run = Run.open(folder)
        for target in options.flops:
            key = (run.supernet_hash, options.alignment, target)
            if key not in rows:
                with tempfile.TemporaryDirectory() as place:
                    copied = Path(place) / "run"
                    shutil.copytree(folder, copied)
                    started = time.process_time()
                    found = transform(
                        copied, flops=target, tolerance=TOLERANCE, epochs=options.epochs, alignment=options.alignment
                    )
                    seconds = time.process_time() - started
                others = np.array(random_accuracies(run, target, seconds, run.experiment.seed))
                accuracy = found.row["accuracy"]
                rows[key] = dict(zip(SCHEMA.key, key, strict=True)) | {
                    "seed": run.experiment.seed,
                    "accuracy": accuracy,
                    "random_mean": float(others.mean()),
                    "random_best": float(others.max()),
                    "num_random": len(others),
                    "share_beaten": float(np.mean(others < accuracy)),
                    "search_seconds": seconds,
                }
                table.append([rows[key]])
            row = rows[key]
            shown = f"{row['accuracy']:>8.1%}{row['random_mean']:>13.1%}{row['random_best']:>8.1%}"
            shown += f"{row['num_random']:>6}{row['share_beaten']:>8.0%}{row['search_seconds']:>7.1f}s"
            print(f"{row['seed']:>4}{target:>10,}{shown}", flush=True)


if __name__ == "__main__":
    main()

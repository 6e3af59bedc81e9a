"""Which learning rate is best, from the narrowest to the widest subnet.

The largest architecture of an experiment's space with every width at the same share of its largest, each trained alone
by the experiment's recipe with every learning rate; loss on the search split, mean over seeds. The best rate of each
width is marked *; a parametrisation is robust in width where one rate is near the best of all, as the last line tells.
A network that diverged is `-`.

    SNUGNET_DATA=/path/to/data python -m benchmarks.learning_rate experiments/fashion_mnist_depthwise.toml --out rates
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch

from search_space import Architecture, UserError
from snugnet.alone import train_alone
from snugnet.evaluator import quality_of
from snugnet.experiment import read_experiment
from snugnet.progress import Progress
from studies.schema import Column, Schema
from studies.table import Table
from supernet.data import load_data

RATES = tuple(1e-3 * 2.0**k for k in range(7))

SCHEMA = Schema(
    columns=(
        Column("width", "int", "of the first stage", unit="count"),
        Column("learning_rate", "float", "highest of the schedule", unit="1"),
        Column("seed", "int", "of initial weights and the order of the rows", unit="count"),
        Column("num_steps", "int", "updates", unit="count"),
        Column("loss_nats", "float", "mean cross-entropy on the search split", nullable=True),
    ),
    key=("width", "learning_rate", "seed", "num_steps"),
)


def resized(architecture: Architecture, share: float) -> Architecture:
    stages = tuple(dataclasses.replace(stage, width=round(stage.width * share)) for stage in architecture.stages)
    return dataclasses.replace(architecture, stages=stages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the table")
    parser.add_argument("--steps", type=int, default=300, help="updates of each network (default 300)")
    parser.add_argument("--widths", type=float, nargs="+", default=[0.25, 0.5, 1, 2], help="times the largest's")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="(default .001 to .064 in octaves)")
    parser.add_argument("--seeds", type=int, default=1, help="(default 1)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    experiment = read_experiment(options.experiment)
    data = load_data(experiment.data, experiment.base)
    table = Table(options.out, SCHEMA)
    architectures = [resized(experiment.space.largest(), share) for share in options.widths]
    points = [(a, rate, seed) for seed in range(options.seeds) for a in architectures for rate in options.rates]
    progress = Progress("networks", len(points))
    losses: dict[tuple[int, float], list[float]] = {}
    stored = {tuple(row[name] for name in SCHEMA.key): row["loss_nats"] for row in table.rows()}
    for architecture, rate, seed in points:
        width = architecture.stages[0].width
        key = (width, rate, seed, options.steps)
        if key not in stored:
            settings = dataclasses.replace(experiment.supernet, learning_rate=rate)
            try:
                network = train_alone(architecture, data, settings, options.steps, seed).network
                stored[key] = quality_of(network, data.search).loss_nats
            except UserError:
                stored[key] = None
            table.append([{**dict(zip(SCHEMA.key, key, strict=True)), "loss_nats": stored[key]}])
        losses.setdefault((width, rate), []).append(np.nan if stored[key] is None else stored[key])
        progress(progress.done + 1)
    print(f"{'width':>6}" + "".join(f"{rate:>10.3g}" for rate in options.rates))
    lost = []
    for architecture in architectures:
        width = architecture.stages[0].width
        means = np.array([np.mean(losses[width, rate]) for rate in options.rates])
        best = int(np.nanargmin(means))
        cells = ("-" if np.isnan(mean) else f"{mean:.4f}{'*' if i == best else ' '}" for i, mean in enumerate(means))
        print(f"{width:>6}" + "".join(f"{cell:>10}" for cell in cells))
        lost.append(means - means[best])
    at_most = np.max(lost, axis=0)
    chosen = int(np.nanargmin(at_most))
    print(f"{options.rates[chosen]:.3g} is within {at_most[chosen]:.3f} nats of the best rate of every width")


if __name__ == "__main__":
    main()

"""What an order by importance is worth, to subnets at once and to the supernet's training after it.

The largest architecture of the experiment is trained alone for `--start-steps`, and its weights are put into a supernet
in several orders. "prefix" rows: the accuracy of narrower subnets with these weights, nothing trained since. "supernet"
rows: the mean accuracy of random subnets after the supernet was trained by the experiment's recipe for `--steps`, from
each order, from scratch, and from scratch with as many further steps of the largest as the start has cost. All on the
search split.

    SNUGNET_DATA=/path/to/data python -m benchmarks.importance experiments/fashion_mnist_depthwise.toml --out FILE
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from search_space import Architecture, Scalar, SearchSpace
from snugnet.alone import train_alone
from snugnet.evaluator import inherited, quality_of
from snugnet.experiment import Experiment, read_experiment
from supernet.cost import flops_of_parts
from supernet.data import Data, batches
from supernet.data.dataset import open_data
from supernet.importance import CRITERIA, Criterion, start_from
from supernet.network import Task
from supernet.policies import policy
from supernet.policies.compute import flops_of_a_step
from supernet.supernet import Supernet
from supernet.training import Training

BATCHES = 16
"""For the criteria that read data."""

SUBNETS = 10
"""Random ones, whose mean accuracy is shown."""

ONLY_PREFIXES = ("random", "l1_norm", "l2_norm", "taylor, reversed")
"""Orders that no supernet is trained from."""


def unsorted(network: Any, symmetries: Any, batches: Any) -> list[Tensor]:
    return [torch.zeros(symmetry.num_units) for symmetry in symmetries]


def at_random(network: Any, symmetries: Any, batches: Any) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(symmetry.num_units, generator=generator) for symmetry in symmetries]


def least_important_first(network: Any, symmetries: Any, batches: Any) -> list[Tensor]:
    return [-scores for scores in CRITERIA["taylor"](network, symmetries, batches)]


ORDERS: dict[str, Criterion] = {
    "unsorted": unsorted,
    "random": at_random,
    **CRITERIA,
    "taylor, reversed": least_important_first,
}


def prefix(space: SearchSpace, part: str, fraction: float) -> Architecture:
    """The largest architecture with every `part` (width, expansion) at this fraction of its options."""

    def choose(name: str, options: tuple[Scalar, ...]) -> Scalar:
        return options[round(fraction * len(options)) - 1] if name.endswith(f".{part}") else options[-1]

    return space.build(choose)


def rows_of(experiment: Experiment, data: Data, seed: int, start_steps: int, num_steps: int) -> list[dict[str, Any]]:
    space, settings = experiment.space, experiment.supernet
    task, largest = Task(data.input_shape, data.num_classes), space.largest()
    trained = train_alone(largest, data, settings, start_steps, seed).network
    weights = dict(trained.named_parameters())
    read = list(islice(batches(data.train, settings.batch_size, seed + 1000), BATCHES))
    generator = np.random.default_rng(0)
    subnets = [space.sample(generator) for _ in range(SUBNETS)]
    flops = flops_of_parts(task)
    a_step = flops_of_a_step(policy(settings.policy, settings.subnets_per_step), space, flops)
    further_steps = round(start_steps * flops(largest) / a_step)

    def accuracy(supernet: Supernet, architecture: Architecture) -> float:
        return quality_of(inherited(supernet, architecture, data.train), data.search).accuracy

    def after_training(supernet: Supernet, order: str, steps: int) -> dict[str, Any]:
        training = Training(supernet, settings, steps, seed)
        training.run(lambda step: batches(data.train, settings.batch_size, seed, step))
        accuracies = [accuracy(supernet, subnet) for subnet in subnets]
        row = {"what": "supernet", "seed": seed, "order": order, "part": "all", "steps": steps}
        return row | {
            "accuracy": float(np.mean(accuracies)),
            "lowest": min(accuracies),
            "largest": accuracy(supernet, largest),
        }

    rows: list[dict[str, Any]] = []
    for order, criterion in ORDERS.items():
        supernet, started = Supernet(space, task, seed=seed), time.process_time()
        start_from(supernet, largest, weights, criterion, read)
        seconds = time.process_time() - started
        for part in ("width", "expansion"):
            for fraction in (0.25, 0.5, 0.75, 1.0):
                row = {"what": "prefix", "seed": seed, "order": order, "part": part, "fraction": fraction}
                rows.append(row | {"accuracy": accuracy(supernet, prefix(space, part, fraction)), "seconds": seconds})
        if order not in ONLY_PREFIXES:
            rows.append(after_training(supernet, order, num_steps))
    rows.append(after_training(Supernet(space, task, seed=seed), "from scratch", num_steps))
    rows.append(after_training(Supernet(space, task, seed=seed), "from scratch, longer", num_steps + further_steps))
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    cells: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for row in rows:
        if row["what"] == "prefix":
            cells[row["order"], f"{row['part']} {row['fraction']:.0%}"].append(row["accuracy"])
        else:
            for column in ("accuracy", "lowest", "largest"):
                cells[row["order"], f"after: {column}"].append(row[column])
    columns = list(dict.fromkeys(column for _, column in cells))
    print(f"{'order':<22}" + "".join(f"{column:>17}" for column in columns))
    for order in dict.fromkeys(order for order, _ in cells):
        means = [np.mean(cells[order, column]) if (order, column) in cells else np.nan for column in columns]
        print(f"{order:<22}" + "".join(f"{100 * mean:>17.1f}" for mean in means))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--out", type=Path, help="a Parquet file for the table")
    parser.add_argument("--seeds", type=int, default=1, help="of the start and the supernet (default 1)")
    parser.add_argument("--start-steps", type=int, default=400, help="of the largest, alone (default 400)")
    parser.add_argument("--steps", type=int, default=200, help="of the supernet's training (default 200)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    experiment = read_experiment(options.experiment)
    data, _ = open_data(experiment.data, experiment.base)
    rows = [
        row
        for seed in range(options.seeds)
        for row in rows_of(experiment, data, seed, options.start_steps, options.steps)
    ]
    show(rows)
    if options.out:
        names = dict.fromkeys(name for row in rows for name in row)  # the two kinds of rows have columns of their own
        pq.write_table(pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows]), options.out)


if __name__ == "__main__":
    main()

"""Training policies at equal compute: what a subnet's inherited weights are worth, against training it alone.

Architectures are stratified by FLOPs over the experiment's space. Each is trained alone for `--epochs` with every seed.
Each policy trains a supernet by the same recipe for as many steps as `--compute` times the CPU seconds of the largest
architecture alone allow; the steps follow from a calibration, in which steps of both are timed in turn, and the table
shows the CPU seconds that were spent beside those asked for. Accuracies are those on the official test set, on which
nothing is chosen. An interrupted benchmark continues where it stopped. The
picture shows the gap of each architecture.

    SNUGNET_DATA=/path/to/data python -m benchmarks.policies experiments/fashion_mnist_depthwise.toml --out policies
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch

from search_space import Architecture, SearchSpace
from snugnet.agreement import Floats, agreement
from snugnet.alone import train_alone
from snugnet.evaluator import inherited, quality_of
from snugnet.experiment import Experiment, read_experiment
from snugnet.progress import Progress
from snugnet.strata import stratified
from studies.schema import Column, Schema
from studies.table import Table
from supernet.cost import cost
from supernet.data import Data, Split, batches
from supernet.data.dataset import open_data
from supernet.network import Task
from supernet.policies import POLICIES
from supernet.settings import TrainingSettings
from supernet.supernet import Supernet
from supernet.training import Training

matplotlib.use("Agg")
from matplotlib import pyplot as plt

ALONE = Schema(
    columns=(
        Column("id", "string", "content hash of the architecture"),
        Column("seed", "int", "of initial weights and the order of the rows", unit="count"),
        Column("num_steps", "int", "updates", unit="count"),
        Column("forward_flops", "int", "one forward pass of one input"),
        Column("accuracy", "float", "on the test set", unit="fraction"),
        Column("train_seconds", "float", "CPU time of training"),
    ),
    key=("id", "seed", "num_steps"),
)

SHARED = Schema(
    columns=(
        Column("arm", "string", "the policy"),
        Column("alone_steps", "int", "updates of a network alone, from which the compute follows", unit="count"),
        Column("compute", "float", "CPU time allowed, over that of the largest architecture alone", unit="ratio"),
        Column("seed", "int", "of initial weights, rows and sampled architectures", unit="count"),
        Column("id", "string", "content hash of the architecture"),
        Column("num_steps", "int", "updates of the supernet", unit="count"),
        Column("accuracy", "float", "on the test set, with inherited weights", unit="fraction"),
        Column("train_seconds", "float", "CPU time of training the supernet"),
    ),
    key=("arm", "alone_steps", "compute", "seed", "id"),
)

CALIBRATION_STEPS = 200
"""Timed of the supernet and of the largest architecture, in turn."""

FIGURE = "gaps.png"


def training_of(space: SearchSpace, data: Data, settings: TrainingSettings, num_steps: int, seed: int) -> Training:
    task = Task(data.input_shape, data.num_classes)
    return Training(Supernet(space, task, seed=seed), settings, num_steps, seed, num_rows=len(data.train))


def step_ratio(space: SearchSpace, data: Data, settings: TrainingSettings) -> float:
    """CPU time of a step of the supernet over that of the largest architecture alone."""
    alone = dataclasses.replace(settings, policy="uniform", subnets_per_step=1)
    runs = (
        training_of(space, data, settings, CALIBRATION_STEPS, 0),
        training_of(SearchSpace.only(space.largest()), data, alone, CALIBRATION_STEPS, 0),
    )
    spent = [0.0, 0.0]
    for _, (x, labels) in zip(range(CALIBRATION_STEPS), batches(data.train, settings.batch_size, 0), strict=False):
        for position, run in enumerate(runs):
            started = time.process_time()
            run.train_step(x, labels)
            spent[position] += time.process_time() - started
            run.step += 1
    return spent[0] / spent[1]


@dataclass(frozen=True)
class Comparison:
    """The tables of one experiment, and what fills them. The first of `architectures` is the largest."""

    experiment: Experiment
    data: Data
    test: Split
    architectures: list[Architecture]
    alone: Table
    shared: Table

    @property
    def num_steps(self) -> int:
        return self.experiment.supernet.num_steps(len(self.data.train))

    def train_alone(self, seed: int) -> None:
        """The rows of a seed that are not there yet."""
        known = self.trained_alone()
        missing = [a for a in self.architectures if (a.id, seed) not in known]
        progress = Progress(f"alone, seed {seed}", len(self.architectures), len(self.architectures) - len(missing))
        for architecture in missing:
            started = time.process_time()
            trained = train_alone(architecture, self.data, self.experiment.supernet, self.num_steps, seed)
            row = {"id": architecture.id, "seed": seed, "num_steps": self.num_steps}
            row |= {"train_seconds": time.process_time() - started, "forward_flops": self.flops(architecture)}
            self.alone.append([{**row, "accuracy": quality_of(trained.network, self.test).accuracy}])
            progress(progress.done + 1)

    def train_shared(self, arm: str, compute: float, seed: int) -> None:
        """The supernet of an arm, and every architecture with its weights."""
        key = {"arm": arm, "compute": compute, "seed": seed, "alone_steps": self.num_steps}
        if any(key.items() <= row.items() for row in self.shared.rows()):
            return
        settings = dataclasses.replace(self.experiment.supernet, policy=arm, subnets_per_step=None)
        space, data, num_steps = self.experiment.space, self.data, self.steps_within(arm, compute, settings)
        training = training_of(space, data, settings, num_steps, seed)
        progress = Progress(f"{arm}, seed {seed}", num_steps)
        started = time.process_time()
        training.run(training.batches_of(data.train), on_step=lambda state: progress(state.step))
        key |= {"num_steps": num_steps, "train_seconds": time.process_time() - started}
        networks = ((a.id, inherited(training.supernet, a, data.train)) for a in self.architectures)
        self.shared.append([{**key, "id": i, "accuracy": quality_of(n, self.test).accuracy} for i, n in networks])

    def steps_within(self, arm: str, compute: float, settings: TrainingSettings) -> int:
        """Of the supernet; the calibration that the arm's first row came from holds for all of them."""
        for row in self.shared.rows():
            if (row["arm"], row["alone_steps"]) == (arm, self.num_steps):
                return round(row["num_steps"] * compute / row["compute"])
        return round(compute * self.num_steps / step_ratio(self.experiment.space, self.data, settings))

    def flops(self, architecture: Architecture) -> int:
        return cost(architecture, Task(self.data.input_shape, self.data.num_classes)).flops

    def trained_alone(self) -> dict[tuple[str, int], dict[str, Any]]:
        """The rows of this number of steps, by architecture and seed."""
        return {(row["id"], row["seed"]): row for row in self.alone.rows() if row["num_steps"] == self.num_steps}

    def accuracies_alone(self, num_seeds: int) -> Floats:
        """Of the architectures but the largest: (architectures, seeds)."""
        known = self.trained_alone()
        return np.array([[known[a.id, s]["accuracy"] for s in range(num_seeds)] for a in self.architectures[1:]])

    def inherited(self, arm: str, compute: float, seed: int) -> dict[str, dict[str, Any]]:
        """The rows of one supernet, by architecture."""
        key = {"arm": arm, "compute": compute, "seed": seed, "alone_steps": self.num_steps}
        return {row["id"]: row for row in self.shared.rows() if key.items() <= row.items()}

    def gaps(self, arm: str, compute: float, num_seeds: int) -> Floats:
        """In points, of each architecture but the largest, mean over the seeds."""
        supernets = [self.inherited(arm, compute, seed) for seed in range(num_seeds)]
        found = [[rows[a.id]["accuracy"] for rows in supernets] for a in self.architectures[1:]]
        return 100 * (self.accuracies_alone(num_seeds) - np.array(found)).mean(axis=1)

    def draw(self, arms: Sequence[tuple[float, str]], num_seeds: int, path: Path) -> None:
        """The gap of each architecture over its FLOPs, a line for each compute and policy."""
        mflops = np.array([self.flops(a) for a in self.architectures[1:]]) / 1e6
        order = np.argsort(mflops)
        figure, axes = plt.subplots(figsize=(8.5, 4.5), layout="constrained")
        for compute, arm in arms:
            gaps = self.gaps(arm, compute, num_seeds)[order]
            axes.plot(mflops[order], gaps, "o-", markersize=3, linewidth=1, label=f"{arm}, {compute:g} times")
        axes.axhline(0, color="black", linestyle="--", label="trained alone")
        axes.set_yscale("symlog", linthresh=2)
        axes.set_yticks(ticks := [-2, -1, 0, 1, 2, 5, 10, 20], map(str, ticks))
        axes.set(xscale="log", xlabel="MFLOPs", ylabel="accuracy alone minus inherited, points")
        figure.legend(fontsize=8, loc="outside right upper")
        figure.savefig(path, dpi=120)
        plt.close(figure)

    def line(self, arm: str, compute: float, num_seeds: int) -> str:
        """Mean over the seeds of each figure: alone is the mean over all seeds, inherited that of one supernet."""
        largest, *others = (a.id for a in self.architectures)
        alone, known, figures = self.accuracies_alone(num_seeds), self.trained_alone(), []
        cost_alone = np.mean([known[largest, seed]["train_seconds"] for seed in range(num_seeds)])
        for seed in range(num_seeds):
            rows = self.inherited(arm, compute, seed)
            found = agreement(np.array([rows[each]["accuracy"] for each in others]), alone, 0)
            seconds, top = rows[largest]["train_seconds"] / cost_alone, 100 * rows[largest]["accuracy"]
            tau = found.kendall.value if found.kendall else np.nan
            figures.append((seconds, found.mean_gap.value, found.worst_gap, tau, top))
        ratio, gap, worst, tau, top = np.mean(figures, axis=0)
        steps = rows[largest]["num_steps"]
        return f"{arm:<20}{steps:>8}{compute:>9g}{ratio:>9.2f}{gap:>10.2f}{worst:>8.2f}{tau:>8.3f}{top:>10.2f}%"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the tables")
    parser.add_argument("--only", nargs="+", choices=POLICIES, default=list(POLICIES), help="some of the policies")
    parser.add_argument("--architectures", type=int, default=20, help="beside the largest (default 20)")
    parser.add_argument("--seeds", type=int, default=3, help="of both (default 3)")
    parser.add_argument("--epochs", type=int, default=2, help="of a network alone (default 2)")
    parser.add_argument("--compute", nargs="+", type=float, default=[3.0], help="times the largest alone (default 3)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    experiment = read_experiment(options.experiment)
    settings = dataclasses.replace(experiment.supernet, epochs=options.epochs)
    experiment = dataclasses.replace(experiment, supernet=settings)
    data, open_report = open_data(experiment.data, experiment.base)
    task = Task(data.input_shape, data.num_classes)
    some = stratified(experiment.space, task, experiment.seed, options.architectures)
    tables = Table(options.out / "alone", ALONE), Table(options.out / "shared", SHARED)
    comparison = Comparison(experiment, data, open_report(), [experiment.space.largest(), *some], *tables)
    for seed in range(options.seeds):
        comparison.train_alone(seed)
    alone = comparison.accuracies_alone(options.seeds)
    if options.seeds > 1:
        tau = agreement(alone[:, 0], alone, 0).between_seeds
        print(f"alone for {comparison.num_steps} steps; two seeds rank {len(some)} architectures with tau {tau:.3f}")
    heads = ("steps", 8), ("compute", 9), ("spent", 9), ("mean gap", 10), ("worst", 8), ("tau", 8), ("largest", 11)
    print(f"{'policy':<20}" + "".join(f"{name:>{width}}" for name, width in heads))
    arms = list(product(options.compute, options.only))
    for compute, arm in arms:
        for seed in range(options.seeds):
            comparison.train_shared(arm, compute, seed)
        print(comparison.line(arm, compute, options.seeds), flush=True)
    comparison.draw(arms, options.seeds, options.out / f"{options.epochs}_epochs_{FIGURE}")


if __name__ == "__main__":
    main()

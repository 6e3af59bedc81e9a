"""Recipes at equal steps: what one switch of a recipe gives the largest, middling and smallest subnets.

The experiment's own recipe is the base. Each arm changes some of its settings and trains a supernet for as many steps,
with the same seeds: initial weights, rows and architectures are those of the base, so the differences are paired. The
table shows the accuracy on the search split, on which recipes may be chosen, and for each arm its mean difference from
the base with the standard error over the seeds. Rows belong to the whole recipe, so another experiment's or an arm's
former settings are left aside. An interrupted benchmark continues where it stopped.

    SNUGNET_DATA=DIR python -m benchmarks.recipes experiments/fashion_mnist_depthwise.toml --out recipes --steps 1400
    python -m benchmarks.recipes experiments/digits.toml --out recipes --only base mixup --steps 200 --seeds 5
    python -m benchmarks.recipes experiments/digits.toml --out recipes --taught

Arms that change what a teacher teaches are left out where none does. With `--taught`, the space's largest architecture,
trained alone for as many steps with the same seed, teaches in every arm in the place of a step's own first subnet; its
training is not counted in the arm's seconds.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from search_space import Architecture
from snugnet.alone import train_alone
from snugnet.evaluator import inherited, quality_of
from snugnet.experiment import Experiment, read_experiment
from snugnet.progress import Progress
from snugnet.strata import stratified
from studies.schema import Column, Schema
from studies.table import Table
from supernet.cost import cost
from supernet.data import Data, load_data
from supernet.network import Task
from supernet.policies import POLICIES
from supernet.settings import TrainingSettings
from supernet.supernet import Supernet
from supernet.training import Training

ROWS = Schema(
    columns=(
        Column("recipe", "string", "hash of data, space, settings and whether a trained network teaches"),
        Column("arm", "string", "what differs from the base"),
        Column("num_steps", "int", "updates", unit="count"),
        Column("seed", "int", "of initial weights, rows and sampled architectures", unit="count"),
        Column("size", "string", "largest, middle or smallest"),
        Column("id", "string", "content hash of the architecture"),
        Column("accuracy", "float", "on the search split, with inherited weights", unit="fraction"),
        Column("train_seconds", "float", "CPU time of training the supernet"),
    ),
    key=("recipe", "num_steps", "seed", "id"),
)

SIZES = ("largest", "middle", "smallest")

ARMS: dict[str, dict[str, Any]] = {
    "base": {},
    "label_smoothing": {"label_smoothing": 0.1},
    "mixup": {"mixup": 0.2},
    "cutmix": {"cutmix": 1.0},
    "rand_augment": {"rand_augment": 2},
    "drop_path": {"drop_path": 0.1},
    "ema_decay": {"ema_decay": 0.99},
    "orthogonality": {"orthogonality": 1e-3},
    "bias_loss": {"bias_loss": True},
    "sample_pruning": {"sample_pruning": 0.1},
}
"""Arm -> what differs from the experiment's recipe."""

TAUGHT_ARMS: dict[str, dict[str, Any]] = {
    "no distillation": {"distillation": 0.0},
    "alpha": {"distillation_loss": "alpha"},
    "feature 1": {"feature_distillation": 1.0},
    "feature 4": {"feature_distillation": 4.0},
    "attention 1": {"attention_distillation": 1.0},
    "attention 10": {"attention_distillation": 10.0},
    "recalibration 1": {"recalibration_distillation": 1.0},
    "recalibration 4": {"recalibration_distillation": 4.0},
}
"""Those of a recipe in which a teacher teaches."""


@dataclass(frozen=True)
class Comparison:
    """One experiment, the architectures that are looked at, and the table that is filled."""

    experiment: Experiment
    data: Data
    architectures: dict[str, list[Architecture]]
    num_steps: int
    taught: bool
    table: Table
    teachers: dict[int, nn.Module] = field(default_factory=dict)

    def settings(self, arm: str) -> TrainingSettings:
        return dataclasses.replace(self.experiment.supernet, teacher=None, **(ARMS | TAUGHT_ARMS)[arm])

    def recipe(self, arm: str) -> str:
        data, settings = dataclasses.asdict(self.experiment.data), dataclasses.asdict(self.settings(arm))
        told = [data, self.experiment.space_table, settings, self.taught]
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def rows(self, arm: str) -> list[dict[str, Any]]:
        key = {"recipe": self.recipe(arm), "num_steps": self.num_steps}
        wanted = {a.id for some in self.architectures.values() for a in some}
        return [row for row in self.table.rows() if key.items() <= row.items() and row["id"] in wanted]

    def train(self, arm: str, seed: int) -> None:
        """The rows of an arm and a seed, unless they are there."""
        if sum(row["seed"] == seed for row in self.rows(arm)) == sum(map(len, self.architectures.values())):
            return
        settings, data = self.settings(arm), self.data
        supernet = Supernet(self.experiment.space, Task(data.input_shape, data.num_classes), seed=seed)
        teacher, num_rows = self.teacher(seed), len(data.train)
        training = Training(supernet, settings, self.num_steps, seed, teacher=teacher, num_rows=num_rows)
        progress = Progress(f"{arm}, seed {seed}", self.num_steps)
        started = time.process_time()
        training.run(training.batches_of(data.train), on_step=lambda state: progress(state.step))
        seconds = time.process_time() - started
        key = {"recipe": self.recipe(arm), "arm": arm, "num_steps": self.num_steps, "seed": seed}
        self.table.append(
            [
                {**key, "size": size, "id": a.id, "train_seconds": seconds, "accuracy": self.accuracy(supernet, a)}
                for size, architectures in self.architectures.items()
                for a in architectures
            ]
        )

    def accuracy(self, supernet: Supernet, architecture: Architecture) -> float:
        return quality_of(inherited(supernet, architecture, self.data.train), self.data.search).accuracy

    def teacher(self, seed: int) -> nn.Module | None:
        """The largest architecture, trained alone by the base recipe."""
        if not self.taught:
            return None
        if seed not in self.teachers:
            largest, settings = self.experiment.space.largest(), self.settings("base")
            self.teachers[seed] = train_alone(largest, self.data, settings, self.num_steps, seed).network
        return self.teachers[seed]

    def accuracies(self, arm: str, size: str, num_seeds: int) -> NDArray[np.float64]:
        """In percent, of each seed: the mean over the architectures of a size."""
        rows = [row for row in self.rows(arm) if row["size"] == size]
        return np.array([100 * np.mean([r["accuracy"] for r in rows if r["seed"] == s]) for s in range(num_seeds)])

    def line(self, arm: str, num_seeds: int) -> str:
        cells = ""
        for size in SIZES:
            own, base = (self.accuracies(name, size, num_seeds) for name in (arm, "base"))
            error = np.std(own - base, ddof=1) / num_seeds**0.5 if num_seeds > 1 else np.nan
            cells += f"{np.mean(own):>9.2f}{np.mean(own - base):>+8.2f} ±{error:>6.2f}"
        spent, plain = (np.mean([row["train_seconds"] for row in self.rows(name)]) for name in (arm, "base"))
        return f"{arm:<17}{cells}{spent / plain:>9.2f}"


def middling(experiment: Experiment, task: Task, number: int) -> list[Architecture]:
    """So many random architectures: the middle quarter of those spread over the logarithm of the space's FLOPs."""
    space = experiment.space
    ends = {space.largest(), space.smallest()}
    some = [a for a in stratified(space, task, experiment.seed, 4 * number) if a not in ends]
    some.sort(key=lambda a: (cost(a, task).flops, a.id))
    first = max(0, (len(some) - number) // 2)
    return some[first : first + number]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the table")
    parser.add_argument("--only", nargs="+", choices=ARMS | TAUGHT_ARMS, help="some of the arms, beside the base")
    parser.add_argument("--steps", type=int, help="of every training (default: the experiment's epochs)")
    parser.add_argument("--seeds", type=int, default=3, help="of every arm (default 3)")
    parser.add_argument("--middle", type=int, default=8, help="architectures of middling FLOPs (default 8)")
    parser.add_argument("--taught", action="store_true", help="by the largest architecture, trained alone before")
    options = parser.parse_args()
    torch.set_num_threads(1)
    experiment = read_experiment(options.experiment)
    taught = options.taught or POLICIES[experiment.supernet.policy].first_teaches
    arms = options.only or list(ARMS | TAUGHT_ARMS if taught else ARMS)
    if not taught and (untaught := [arm for arm in arms if arm in TAUGHT_ARMS]):
        parser.error(f"nothing teaches in a step of {experiment.supernet.policy}; give --taught for {untaught}")
    data, settings, space = load_data(experiment.data, experiment.base), experiment.supernet, experiment.space
    middle = middling(experiment, Task(data.input_shape, data.num_classes), options.middle)
    architectures = dict(zip(SIZES, ([space.largest()], middle, [space.smallest()]), strict=True))
    num_steps = options.steps or settings.num_steps(len(data.train))
    table = Table(options.out, ROWS)
    comparison = Comparison(experiment, data, architectures, num_steps, options.taught, table)
    print(f"{num_steps} steps, {options.seeds} seeds; search accuracy in percent, difference from the base ± its error")
    print(f"{'arm':<17}" + "".join(f"{size:>25}" for size in SIZES) + f"{'seconds':>9}")
    for arm in dict.fromkeys(["base", *arms]):
        for seed in range(options.seeds):
            comparison.train(arm, seed)
        print(comparison.line(arm, options.seeds), flush=True)


if __name__ == "__main__":
    main()

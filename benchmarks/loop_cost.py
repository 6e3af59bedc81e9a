"""What the training loop costs outside forward and backward: a supernet's steps beside those of a plain loop.

After each step of `Training`, a plain PyTorch loop makes the same step with its own network of the same architecture:
next batch, `zero_grad`, forward, loss, backward, `clip_grad_norm_`, AdamW. Both have the same stopwatch around the
network's forward and around `backward`; the rest is the loop. An overhead is the supernet's rest less the plain loop's,
over a step of the plain loop; sums of all steps, CPU time.

    SNUGNET_DATA=/path/to/data python -m benchmarks.loop_cost experiments/fashion_mnist_depthwise.toml --out FILE
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search_space import Architecture, SearchSpace
from snugnet.experiment import Experiment, read_experiment
from supernet.data import Data, load_data
from supernet.network import Network, Task
from supernet.optimizer import BETAS, EPSILON
from supernet.policies.policy import Draw, Policy
from supernet.settings import TrainingSettings
from supernet.supernet import Supernet
from supernet.training import Training

WARM_UP = 20
"""Steps that are not counted."""


class Stopwatch:
    """CPU seconds in forward and backward, in whichever loop they ran."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **options: Any) -> Any:
            started = time.process_time()
            try:
                return function(*args, **options)
            finally:
                self.seconds += time.process_time() - started

        return timed

    @contextmanager
    def running(self) -> Iterator[None]:
        with (
            patch.object(Network, "forward", self.around(Network.forward)),
            patch.object(Tensor, "backward", self.around(Tensor.backward)),
        ):
            yield


class Remembering(Policy):
    """Another policy, and what it drew last."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy.num_subnets)
        self.policy, self.drawn = policy, list[Architecture]()

    def __call__(self, draw: Draw) -> list[Architecture]:
        self.drawn = self.policy(draw)
        return self.drawn


class PlainLoop:
    """The step as one would write it by hand for one network."""

    def __init__(self, supernet: Supernet, settings: TrainingSettings) -> None:
        self.supernet, self.settings = supernet, settings
        self.known: dict[str, tuple[nn.Module, torch.optim.AdamW]] = {}

    def network(self, architecture: Architecture) -> tuple[nn.Module, torch.optim.AdamW]:
        """A network that is trained already, or a new one with an optimizer that has made a step."""
        if architecture.id not in self.known:
            network = self.supernet.extract(architecture).train()
            optimizer = torch.optim.AdamW(network.parameters(), 0.0, BETAS, EPSILON, 0.05, foreach=True)
            for parameter in network.parameters():
                parameter.grad = torch.zeros_like(parameter)
            optimizer.step()
            self.known[architecture.id] = network, optimizer
        return self.known[architecture.id]

    def step(
        self, network: nn.Module, optimizer: torch.optim.AdamW, batches: Iterator[tuple[Tensor, Tensor]], rate: float
    ) -> None:
        for group in optimizer.param_groups:
            group["lr"] = rate
        x, labels = next(batches)
        optimizer.zero_grad()
        loss = F.cross_entropy(network(x), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), self.settings.clip_norm)
        optimizer.step()
        loss.item()


def compare(name: str, space: SearchSpace, experiment: Experiment, data: Data, num_steps: int) -> dict[str, Any]:
    """Milliseconds of a step in both loops, in all and outside forward and backward."""
    supernet = Supernet(space, Task(data.input_shape, data.num_classes))
    training = Training(supernet, experiment.supernet, num_steps, 0, num_rows=len(data.train))
    policy = training.policy = Remembering(training.policy)
    plain, batches = PlainLoop(supernet, experiment.supernet), training.batches_of(data.train)(0)
    watch = Stopwatch()
    spent = dict.fromkeys(("shared", "shared_inside", "plain", "plain_inside"), 0.0)
    began = time.process_time()

    def on_step(training: Training) -> None:
        nonlocal began
        shared, inside = time.process_time() - began, watch.seconds
        known = [plain.network(architecture) for architecture in policy.drawn]
        watch.seconds, began = 0.0, time.process_time()
        for network, optimizer in known:
            plain.step(network, optimizer, batches, training.learning_rate(training.step - 1))
        if training.step > WARM_UP:
            found = (shared, inside, time.process_time() - began, watch.seconds)
            for key, seconds in zip(spent, found, strict=True):
                spent[key] += seconds
        watch.seconds, began = 0.0, time.process_time()

    with watch.running():
        training.run(training.batches_of(data.train), on_step=on_step)
    ms = {f"{key}_ms": 1e3 * seconds / (num_steps - WARM_UP) for key, seconds in spent.items()}
    rest = ms["shared_ms"] - ms["shared_inside_ms"], ms["plain_ms"] - ms["plain_inside_ms"]
    return {"case": name, "num_steps": num_steps, **ms, "overhead": (rest[0] - rest[1]) / ms["plain_ms"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--steps", type=int, default=300, help="(default 300)")
    parser.add_argument("--out", type=Path, help="a Parquet file for the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    experiment = read_experiment(options.experiment)
    data = load_data(experiment.data, experiment.base)
    space = experiment.space
    cases = (
        ("largest, again and again", SearchSpace.only(space.largest())),
        ("smallest, again and again", SearchSpace.only(space.smallest())),
        (f"{experiment.supernet.policy}, all of the space", space),
    )
    print(f"{'ms a step':<36}{'supernet':>10}{'outside':>9}{'plain':>9}{'outside':>9}{'overhead':>10}")
    rows = []
    for name, only in cases:
        row = compare(name, only, experiment, data, options.steps)
        shared, plain = (row[f"{loop}_ms"] - row[f"{loop}_inside_ms"] for loop in ("shared", "plain"))
        print(
            f"{name:<36}{row['shared_ms']:>10.2f}{shared:>9.2f}{row['plain_ms']:>9.2f}{plain:>9.2f}"
            f"{100 * row['overhead']:>9.1f}%",
            flush=True,
        )
        rows.append(row)
    if options.out:
        pq.write_table(pa.Table.from_pylist(rows), options.out)


if __name__ == "__main__":
    main()

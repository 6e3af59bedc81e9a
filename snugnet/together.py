"""Training a run's supernet on several workers: what travels to them, and what they send back."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from search.workers import POLL_S, Line, work_together
from snugnet.commands.train import probe_of
from snugnet.experiment import Experiment
from snugnet.logs import Watch
from snugnet.progress import say
from snugnet.run import Run
from supernet.checkpoint import write_atomically
from supernet.data import Data
from supernet.distributed import Group
from supernet.foreign import load_components
from supernet.network import Task
from supernet.supernet import Supernet
from supernet.training import Training


@dataclass(frozen=True)
class Work:
    """What each worker does, and all that it needs for it: no file of the run, nor of the data, need be there."""

    experiment: Experiment
    data: Data
    num_steps: int
    identity: dict[str, Any]
    teacher: nn.Module | None

    def __call__(self, line: Line) -> None:
        """Train to the end from the state of the line. The first worker tells of it, and keeps the checkpoints."""
        experiment, data, settings = self.experiment, self.data, self.experiment.supernet
        torch.set_num_threads(settings.threads or 1)
        load_components(experiment.components)
        group = Group.joined()
        supernet = Supernet(experiment.space, Task(data.input_shape, data.num_classes), seed=experiment.seed)
        training = Training(
            supernet,
            settings,
            self.num_steps,
            experiment.seed,
            self.identity,
            teacher=self.teacher,
            group=group,
            num_rows=len(data.train),
        )
        restore(training, line.state)
        first = group.rank == 0
        told = 0.0
        if first:
            line.tell({"begins": training.step, "workers": group.size, "history": training.history})

        def on_step(state: Training) -> None:
            nonlocal told
            logged = state.logged()
            if first and (logged or time.monotonic() - told > POLL_S):
                told = time.monotonic()
                line.tell({"step": state.step, "losses": state.losses_by_size(), "rows": logged})
            if first and state.step % settings.checkpoint_steps == 0 and not state.complete:
                line.keep({}, stored(state))

        training.run(
            training.batches_of(data.train),
            on_step=on_step,
            probe=probe_of(experiment.space, data) if first else lambda _: {},
            stop=line.stopping if first else lambda: False,
        )
        if first:
            line.keep({}, stored(training))


def train_together(
    run: Run, training: Training, num_workers: int, address: str, watch: Watch, stop: Callable[[], bool]
) -> bool:
    """Train to the end, or until `stop`; True for the end. `training` is then where the last checkpoint is."""
    training.settings.refuse_more_workers_than_rows(num_workers)
    attempts = 0

    def on_message(message: dict[str, Any], state: bytes | None) -> None:
        nonlocal attempts
        if state is not None:
            write_atomically(run.supernet_path, state)
        if "begins" in message:
            attempts += 1
            if attempts > 1:
                say(f"workers were lost or joined; {message['workers']} go on from step {message['begins']}")
            watch.begin(message["begins"], message["history"])
        if "step" in message:
            watch(message["step"], message["losses"], message["rows"])

    work = Work(run.experiment, run.data, training.num_steps, training.identity, training.teacher)
    cpus = run.experiment.supernet.threads or 1
    work_together(work, stored(training), on_message, num_workers=num_workers, address=address, cpus=cpus, stop=stop)
    training.restore(run.supernet_path)
    return training.complete


def stored(training: Training) -> bytes:
    """What `Training.save` writes."""
    with tempfile.TemporaryDirectory() as folder:
        training.save(Path(folder) / "state")
        return (Path(folder) / "state").read_bytes()


def restore(training: Training, state: bytes) -> None:
    """Continue from what `stored` gave."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "state").write_bytes(state)
        training.restore(Path(folder) / "state")

"""`snugnet train`: the supernet of an experiment, into a run folder."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from torch import nn

from search_space import SearchSpace, UserError
from snugnet.evaluator import inherited, quality_of
from snugnet.experiment import read_experiment
from snugnet.logs import Watch
from snugnet.progress import Interrupted, clock, say, stop_on_signal
from snugnet.run import Run
from snugnet.start import start
from snugnet.subnet import load_subnet, read_card
from supernet.checkpoint import content_hash
from supernet.data import Data
from supernet.machine import use_threads
from supernet.policies import POLICIES
from supernet.supernet import Supernet
from supernet.training import Training


@dataclass(frozen=True)
class Trained:
    """A run whose supernet is trained."""

    folder: Path
    num_steps: int
    seconds: float
    supernet: str
    last: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        return {
            "run": str(self.folder),
            "num_steps": self.num_steps,
            "seconds": self.seconds,
            "supernet": self.supernet,
            "last": self.last,
        }

    def text(self) -> str:
        lines = [f"trained {self.num_steps} steps in {clock(self.seconds)}: {self.folder / 'supernet.safetensors'}"]
        lines += [f"  {end:<9} search accuracy {self.last[f'accuracy_{end}']:.4f}" for end in ("largest", "smallest")]
        return "\n".join([*lines, f"next: snugnet search {quote(str(self.folder))} --trials 100"])


def train(
    experiment: Path, run: Path, *, resume: bool = False, workers: int | None = None, address: str = "local"
) -> Trained:
    """Train, or continue where an interrupted run of the same experiment stopped. SIGINT writes a checkpoint and stops.

    With `workers`, that many processes share each batch, on this machine or on the Ray cluster at `address`; without,
    this one trains alone. With `resume`, a run must already be there. Raises UserError where the folder holds another
    experiment, and Interrupted when a signal ended it.
    """
    folder = Path(os.path.normpath(run))
    parsed = read_experiment(Path(experiment))
    if workers is None and address != "local":
        raise UserError(f"--address {address} is for training on several workers; say how many with --workers")
    if resume and not (folder / "experiment.toml").exists():
        raise UserError(f"{folder} holds no run to resume; leave out --resume to start one")
    opened = Run.of(parsed, folder)
    if (folder / "grown").exists() or (folder / "growing.safetensors").exists():
        raise UserError(f"{folder} holds a network that grew, made by snugnet grow; choose another --run folder")
    if resume and not opened.supernet_path.exists():
        raise UserError(f"{opened.supernet_path} is missing: nothing to resume; leave out --resume to start")
    if workers is None:
        use_threads(parsed.supernet.threads)
    training = prepare(opened)
    opened.begin()
    with opened.exclusive():
        finished = training.complete or _train(opened, training, workers, address)
    if not finished:
        raise Interrupted(
            f"interrupted at step {training.step} of {training.num_steps}, which is saved; "
            f"continue with: snugnet train {quote(str(experiment))} --run {quote(str(folder))} --resume"
            + (f" --workers {workers}" if workers else "")
            + (f" --address {address}" if address != "local" else "")
        )
    last = training.history[-1]
    return Trained(folder, training.step, last["seconds"], content_hash(training.weights()), last)


def prepare(run: Run) -> Training:
    """The run's training, at the step its checkpoint has reached. Raises UserError for what cannot be trained."""
    experiment, settings, rows = run.experiment, run.experiment.supernet, len(run.data.train)
    of_teachers = [*settings.hints, *(["distillation_loss"] if settings.distillation_loss != "kl" else [])]
    if of_teachers and settings.teacher is None and not POLICIES[settings.policy].first_teaches:
        teachers = ", ".join(name for name, policy in POLICIES.items() if policy.first_teaches)
        raise UserError(
            f"supernet.{of_teachers[0]} changes nothing with the policy {settings.policy}, whose subnets "
            f"have no teacher; name a supernet.teacher, or choose one of ({teachers})"
        )
    steps = settings.num_steps(rows)
    supernet = Supernet(experiment.space, run.task, seed=experiment.seed)
    identity = run.identity
    if settings.teacher and run.complete and not (experiment.base / settings.teacher).exists():
        teacher, identity["teacher"] = None, run.stored["identity"]["teacher"]  # nobody is taught any more
        settings = dataclasses.replace(settings, teacher=None)
    elif teacher := teacher_of(run):
        identity["teacher"] = content_hash(teacher.state_dict())
    identity |= start(run, supernet)
    training = Training(supernet, settings, steps, experiment.seed, identity, teacher=teacher, num_rows=rows)
    if run.supernet_path.exists():
        training.restore(run.supernet_path)
    if 0 < training.step < steps:
        say(f"{run.folder}: continuing from step {training.step} of {steps}")
    return training


def _train(run: Run, training: Training, workers: int | None, address: str) -> bool:
    """Train to the end, or until SIGINT or SIGTERM asks to stop after the current step."""
    watch = Watch(run.folder, training.num_steps)
    try:
        with stop_on_signal() as stop:
            if workers is None:
                return _train_alone(run, training, watch, stop)
            from snugnet.together import train_together

            return train_together(run, training, workers, address, watch, stop)
    finally:
        watch.close()


def _train_alone(run: Run, training: Training, watch: Watch, stop: Callable[[], bool]) -> bool:
    data = run.data
    watch.begin(training.step, training.history)
    return training.run(
        training.batches_of(data.train),
        checkpoint=run.supernet_path,
        on_step=lambda state: watch(state.step, state.losses_by_size(), state.logged()),
        probe=probe_of(run.experiment.space, data),
        stop=stop,
    )


def probe_of(space: SearchSpace, data: Data) -> Callable[[Supernet], dict[str, float]]:
    """Measures both ends of the space on the search split."""
    ends = {"largest": space.largest(), "smallest": space.smallest()}

    def probe(supernet: Supernet) -> dict[str, float]:
        return {
            f"accuracy_{end}": quality_of(inherited(supernet, a, data.train), data.search).accuracy
            for end, a in ends.items()
        }

    return probe


def teacher_of(run: Run) -> nn.Module | None:
    """The network that `supernet.teacher` names: an extracted subnet, or the largest architecture of a trained run.

    Raises UserError where there is none, or where it was not trained on the same training rows: one that has seen the
    rows that choose among architectures would tell its pupils about them.
    """
    if run.experiment.supernet.teacher is None:
        return None
    where = f"supernet.teacher={run.experiment.supernet.teacher!r}"
    network: nn.Module
    try:
        folder = run.named(run.experiment.supernet.teacher)
        if (folder / "experiment.toml").is_file():
            other = Run.open(folder)
            network = inherited(other.supernet, other.largest, other.data.train)
            fingerprint = other.data.fingerprint
        else:
            network = load_subnet(folder, run.experiment.components)
            fingerprint = read_card(folder)["data"]["fingerprint"]
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    if fingerprint != run.data.fingerprint:
        raise UserError(f"{where} was trained on other data or another split; name one made with the same [data]")
    return network

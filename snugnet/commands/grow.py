"""`snugnet grow`: one network that grows while it trains, from the smallest of a space; each of its sizes is a run."""

from __future__ import annotations

import dataclasses
import os
import shutil
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Any

from search_space import Architecture, UserError
from snugnet.evaluator import Evaluator, inherited, quality_of
from snugnet.experiment import read_experiment
from snugnet.logs import Watch
from snugnet.progress import Interrupted, clock, say, stop_on_signal
from snugnet.run import Run
from snugnet.selection import Budget
from studies.schema import Column, Schema
from studies.table import Table
from supernet.checkpoint import content_hash, save_tensors
from supernet.cost import cost
from supernet.data import batches
from supernet.growth import Growing, Growth, growths, make_room
from supernet.machine import use_threads
from supernet.supernet import Supernet
from supernet.training import Training, load_weights

LOGGED_ROWS = 5
"""Rows of the training's history, each a percent of it, from one look at what could grow to the next."""

GROWING = 0.5
"""The share of the training in which the network may grow. Later the learning rate is too low for new weights."""

SCORED_BATCHES, SCORED_ROWS = 8, 512
"""Training rows that a score looks at, as many as in the CNN paper's public code, and in how many batches."""

SIZES = Schema(
    columns=(
        Column("step", "int", "updates until the network left this size", unit="count"),
        Column("id", "string", "content hash of the architecture"),
        Column("architecture", "string", "canonical JSON of the architecture"),
        Column("params", "int", "trainable values", unit="count"),
        Column("forward_flops", "int", "one forward pass of one input"),
        Column("cpu_seconds", "float", "of the training until then, with what the scores took"),
        Column("accuracy", "float", "on the search split", unit="fraction"),
        Column("loss_nats", "float", "mean cross-entropy on the search split"),
        Column("supernet", "string", "content hash of the weights"),
        Column("grew_by", "string", "the decision that made the next size", nullable=True),
        Column("score", "float", "of the next size over this one's, with the penalty", unit="ratio", nullable=True),
        Column("jump_nats", "float", "what growing added to the loss of the rows it was decided on", nullable=True),
    ),
    key=("step",),
)


@dataclass(frozen=True)
class Grown:
    """The sizes of a grown network, as rows of its table; each is a run, in a folder of its own."""

    folder: Path
    num_steps: int
    sizes: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        sizes = [{**row, "run": str(self.folder / "sizes" / row["id"])} for row in self.sizes]
        return {"run": str(self.folder), "num_steps": self.num_steps, "sizes": sizes}

    def text(self) -> str:
        lines = [f"{'id':<18}{'params':>9}{'MFLOPs':>9}{'step':>7}{'CPU':>8}{'accuracy':>10}{'score':>8}  grew by"]
        lines += [
            f"{row['id']:<18}{row['params']:>9,}{row['forward_flops'] / 1e6:>9.2f}{row['step']:>7}"
            f"{clock(row['cpu_seconds']):>8}{100 * row['accuracy']:>9.2f}%"
            + (f"{row['score']:>8.2f}  {row['grew_by']}" if row["grew_by"] else "")
            for row in self.sizes
        ]
        lines.append("accuracy on the search split, CPU time with what the scores took, when the network left the size")
        lines.append(f"table: {self.folder / 'grown'}; each size is a run: {self.folder / 'sizes'}")
        last = quote(str(self.folder / "sizes" / self.sizes[-1]["id"]))
        return "\n".join([*lines, f"next: snugnet extract {last} --out SUBNET"])


def grow(
    experiment: Path,
    run: Path,
    *,
    epochs: int | None = None,
    threshold: float = 1.0,
    max_params: int | None = None,
    max_flops: int | None = None,
) -> Grown:
    """Train the smallest architecture of the space alone, for the supernet's epochs unless given, and let it grow where
    some score is above the threshold and the larger network within the budget. The same command continues.

    Raises UserError where the folder holds another experiment or other options, and Interrupted after a signal.
    """
    for option, value in (("--epochs", epochs), ("--threshold", threshold)):
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"{option} {value} must be a number above 0")
    parsed, folder = read_experiment(Path(experiment)), Path(os.path.normpath(run))
    budget = Budget(None, max_params, max_flops)
    use_threads(parsed.supernet.threads)
    opened = Run.of(parsed, folder)
    if opened.supernet_path.exists():
        raise UserError(f"{folder} holds the training of a supernet; choose another --run folder")
    training, growing = _prepare(opened, epochs, threshold, budget)
    opened.begin()
    table = Table(folder / "grown", SIZES)
    with opened.exclusive():
        if not training.complete and not _train(opened, training, growing, table, threshold, budget):
            raise Interrupted(
                f"interrupted at step {training.step} of {training.num_steps}, which is saved; "
                "the same command continues"
            )
        rows = table.rows()
        for row in rows:
            _add_trial(opened, row)
    return Grown(folder, training.num_steps, rows)


def _prepare(run: Run, epochs: int | None, threshold: float, budget: Budget) -> tuple[Training, Growing]:
    """The training, at the step its checkpoint has reached. Raises UserError for what cannot be trained."""
    experiment = run.experiment
    settings = dataclasses.replace(experiment.supernet, policy="uniform", subnets_per_step=1, teacher=None, start=None)
    rows = len(run.data.train)
    num_steps = settings.num_steps(rows, epochs)
    smallest = experiment.space.smallest()
    counted = cost(smallest, run.task)
    if not budget.counts_fit(counted.params, counted.flops):
        raise UserError(
            f"the smallest architecture of this space has {counted.params:,} parameters and {counted.flops:,} FLOPs; "
            "ask for at least that with --max-params and --max-flops"
        )
    supernet = Supernet(experiment.space, run.task, seed=experiment.seed)
    make_room(supernet)
    identity = run.identity | {"grow": [threshold, budget.max_params, budget.max_flops]}
    training = Training(supernet, settings, num_steps, experiment.seed, identity, num_rows=rows)
    training.policy = growing = Growing(smallest)
    if _checkpoint(run).exists():
        training.restore(_checkpoint(run))
    if 0 < training.step < training.num_steps:
        say(f"{run.folder}: continuing from step {training.step} of {training.num_steps}")
    return training, growing


def _train(run: Run, training: Training, growing: Growing, table: Table, threshold: float, budget: Budget) -> bool:
    """Train to the end, or until SIGINT or SIGTERM asks to stop after the current step."""
    settings, data, seed = training.settings, run.data, run.experiment.seed
    watch = Watch(run.folder, training.num_steps)

    def on_step(state: Training) -> None:
        watch(state.step, state.losses_by_size(), state.logged())
        if state.complete:
            _leave(run, state, growing.architecture, table, None)
        elif _looks(state):
            rows = min(settings.batch_size, SCORED_ROWS // SCORED_BATCHES)
            read = islice(batches(data.train, rows, seed, state.step), SCORED_BATCHES)
            found = growths(state.supernet, growing.architecture, read, lambda c: budget.counts_fit(c.params, c.flops))
            if found and found[0].score > threshold:
                _leave(run, state, growing.architecture, table, found[0])
                growing.architecture = found[0].architecture

    try:
        watch.begin(training.step, training.history)
        with stop_on_signal() as stop:
            return training.run(
                training.batches_of(data.train),
                checkpoint=_checkpoint(run),
                on_step=on_step,
                stop=stop,
            )
    finally:
        watch.close()


def _looks(state: Training) -> bool:
    """Whether the network may grow after this step."""
    return bool(state.logged()) and not len(state.history) % LOGGED_ROWS and state.step <= GROWING * state.num_steps


def _leave(run: Run, state: Training, architecture: Architecture, table: Table, growth: Growth | None) -> None:
    """Keep the size that the network has reached: its weights in a run of their own, and a row of the table.

    A run that was killed after its last checkpoint comes here again, with the same weights.
    """
    counted, weights = cost(architecture, run.task), state.weights()
    quality = quality_of(inherited(state.supernet, architecture, run.data.train), run.data.search)
    _write(run, state, architecture)
    table.append(
        [
            {
                "step": state.step,
                "id": architecture.id,
                "architecture": architecture.to_json(),
                "params": counted.params,
                "forward_flops": counted.flops,
                "cpu_seconds": state.history[-1]["cpu_seconds"],
                "accuracy": quality.accuracy,
                "loss_nats": quality.loss_nats,
                "supernet": content_hash(weights),
                **(
                    {"grew_by": growth.decision, "score": growth.score, "jump_nats": growth.jump_nats} if growth else {}
                ),
            }
        ]
    )


def _write(run: Run, state: Training, architecture: Architecture) -> None:
    """The size as a run, whole or not at all."""
    place = run.folder / "sizes" / architecture.id
    temporary = Run(place.with_name(".new"), run.experiment)
    shutil.rmtree(temporary.folder, ignore_errors=True)
    temporary.begin()
    metadata = {"step": state.step, "num_steps": state.step, "history": state.history, "grown": architecture.to_dict()}
    metadata |= {"identity": state.identity | {"grown": architecture.id}}
    save_tensors(temporary.supernet_path, {f"weights/{n}": w for n, w in state.weights().items()}, metadata)
    shutil.rmtree(place, ignore_errors=True)
    temporary.folder.rename(place)


def _add_trial(run: Run, row: dict[str, Any]) -> None:
    """Make the size the one trial of its run, measured on the device that the whole run was calibrated on."""
    experiment, size = run.experiment, Run(run.folder / "sizes" / row["id"], run.experiment)
    if len(size.trials):
        return
    architecture, supernet = Architecture.from_json(row["architecture"]), Supernet(experiment.space, run.task)
    load_weights(supernet, size.checkpoint[0], size.supernet_path)
    _ = run.calibration
    evaluator = Evaluator(run.inherited(supernet.eval(), row["supernet"]), run.timing)
    shutil.copytree(run.folder / "devices", size.folder / "devices", dirs_exist_ok=True)
    named = {"trial": 0, "id": row["id"], "architecture": row["architecture"], "algorithm": "growing"}
    size.keep_trials([{**named, "seed": experiment.seed, **evaluator.evaluate(architecture)}])


def _checkpoint(run: Run) -> Path:
    return run.folder / "growing.safetensors"

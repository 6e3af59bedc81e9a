"""`snugnet transform`: one subnet for a FLOP target, its widths, depths and components found by gradients."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from search_space import Component, UserError
from search_space.staged import StagedSpace
from snugnet.progress import Interrupted, Progress, say, stop_on_signal
from snugnet.run import Run
from supernet.cost import cost
from supernet.data import Batch, batches
from supernet.machine import use_threads
from supernet.recipe import augmentation_of
from supernet.transformable.decisions import Decisions
from supernet.transformable.flops import ExpectedFlops
from supernet.transformable.mixed import Alignment
from supernet.transformable.search import Transformation

ALGORITHM = "transformable"


@dataclass(frozen=True)
class Transformed:
    """The trial of the subnet that was found, and the probability of each option of each decision in the end."""

    folder: Path
    row: dict[str, Any]
    target: int
    tolerance: float
    num_steps: int
    probabilities: dict[str, dict[str, float]]

    @property
    def miss(self) -> float:
        """Of the target, as a share of it."""
        return self.row["flops"] / self.target - 1

    def as_dict(self) -> dict[str, Any]:
        names = ("id", "trial", "accuracy", "loss_nats", "latency_ms", "params", "flops")
        return {
            "run": str(self.folder),
            **{name: self.row[name] for name in names},
            "target_flops": self.target,
            "within_tolerance": abs(self.miss) <= self.tolerance,
            "num_steps": self.num_steps,
            "probabilities": self.probabilities,
        }

    def text(self) -> str:
        row = self.row
        size = f"{row['flops']:,} FLOPs, {100 * self.miss:+.1f}% from the target, {row['params']:,} parameters"
        stored = f"trial {row['trial']} of {self.folder / 'trials'}"
        lines = [f"{row['id']}: {size}", f"search accuracy {row['accuracy']:.4f} with inherited weights: {stored}"]
        if abs(self.miss) > self.tolerance:
            lines.append(f"that is the nearest that was met; none is within {100 * self.tolerance:g}%")
        return "\n".join([*lines, f"next: snugnet extract {quote(str(self.folder))} --id {row['id']} --out SUBNET"])


def transform(
    run: Path,
    *,
    flops: int,
    tolerance: float = 0.05,
    epochs: int | None = None,
    alignment: Alignment = "zeros",
) -> Transformed:
    """Search from the run's supernet, whose own weights stay as they are, and store the subnet as a trial.

    `flops` are those of one forward pass of one input. `epochs` count passes over half of the training rows: half as
    many as the largest alone could make at the supernet's cost, unless given. Raises UserError where the run is not
    trained or the target lies outside its space, and Interrupted after SIGINT.
    """
    if flops < 1:
        raise UserError(f"--flops {flops} must be at least 1")
    if not 0 < tolerance < 1:
        raise UserError(f"--tolerance {tolerance:g} must be above 0 and below 1")
    if epochs is not None and epochs < 1:
        raise UserError(f"--epochs {epochs} must be at least 1")
    opened = Run.open(Path(run))
    if "grown" in opened.checkpoint[1]:
        raise UserError(f"{run} is one size of a network that grew: it has nothing to choose between")
    if any(row["supernet"] not in (None, opened.supernet_hash) for row in opened.trials.rows()):
        raise UserError(f"{run}/trials belong to another supernet than {opened.supernet_path}; begin a new run")
    epochs = epochs or math.ceil(opened.epochs_alone / 2)
    path = _path(opened, {"flops": flops, "tolerance": tolerance, "epochs": epochs, "alignment": alignment})
    with opened.exclusive():
        transformation = _prepare(opened, flops, tolerance, epochs, alignment)
        if path.exists():
            transformation.restore(path)
        if not (transformation.complete or _search(opened, transformation, path)):
            raise Interrupted(
                f"interrupted at step {transformation.step} of {transformation.num_steps}, which is saved; "
                "the same command continues"
            )
        row = _trial(opened, transformation)
    options = transformation.decisions.options
    probabilities = {
        name: {_label(option): p for option, p in zip(options[name], each.tolist(), strict=True)}
        for name, each in transformation.probabilities().items()
    }
    return Transformed(opened.folder, row, flops, tolerance, transformation.num_steps, probabilities)


def _label(option: int | Component) -> str:
    if isinstance(option, Component):
        return " ".join([option.name, *(f"{key}={value}" for key, value in option.options)])
    return str(option)


def _path(run: Run, asked: dict[str, Any]) -> Path:
    """The state of this search: each run, supernet and question has its own file."""
    identity = json.dumps(run.identity | {"weights": run.supernet_hash} | asked, sort_keys=True)
    return run.folder / "transform" / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.safetensors"


def _prepare(run: Run, target: int, tolerance: float, epochs: int, alignment: Alignment) -> Transformation:
    space, settings, rows = run.experiment.space, run.experiment.supernet, len(run.data.train) // 2
    assert isinstance(space, StagedSpace)
    decisions = Decisions(space)
    ends = [cost(a, run.task).flops for a in (decisions.held.smallest(), decisions.held.largest())]
    if not ends[0] <= target * (1 + tolerance) or not target * (1 - tolerance) <= ends[1]:
        raise UserError(
            f"--flops {target} is outside this space, whose smallest architecture has {ends[0]} FLOPs and its largest "
            f"{ends[1]}; choose between them"
        )
    flops = ExpectedFlops(decisions, lambda architecture: cost(architecture, run.task).flops)
    num_steps = epochs * max(1, rows // settings.batch_size)
    supernet, seed = copy.deepcopy(run.supernet), run.experiment.seed
    return Transformation(supernet, decisions, flops, target, tolerance, settings, num_steps, seed, alignment)


def _search(run: Run, transformation: Transformation, path: Path) -> bool:
    """To the end, or until SIGINT or SIGTERM asks to stop after the current step."""
    settings, train, seed = run.experiment.supernet, run.data.train, run.experiment.seed
    rows = len(train) // 2
    size = min(settings.batch_size, rows)
    use_threads(settings.threads)
    progress = Progress("transforming", transformation.num_steps, transformation.step)

    def pairs(step: int) -> Iterator[tuple[Batch, Batch]]:
        own, held_out = train.leading(rows), train.following(rows)
        return zip(
            batches(own, size, seed, step, augmentation_of(settings)), batches(held_out, size, seed, step), strict=True
        )

    def on_step(state: Transformation) -> None:
        progress(state.step, f"{state.expected_flops:,.0f} FLOPs expected")

    with stop_on_signal() as stop:
        return transformation.run(pairs, checkpoint=path, on_step=on_step, stop=stop)


def _trial(run: Run, transformation: Transformation) -> dict[str, Any]:
    """The row of the architecture that was found, which may have been a trial before."""
    architecture, rows = transformation.architecture(), run.trials.rows()
    known = next((row for row in rows if row["id"] == architecture.id and row["accuracy"] is not None), None)
    if known:
        say(f"{architecture.id} was there already")
        return known
    started = time.perf_counter()
    (metrics,) = run.evaluator([architecture])
    row = {
        **metrics,
        "trial": len(rows),
        "id": architecture.id,
        "architecture": architecture.to_json(),
        "algorithm": ALGORITHM,
        "seed": run.experiment.seed,
        "seconds": time.perf_counter() - started,
    }
    run.keep_trials([row])
    return row

"""A run: the folder that holds an experiment, its supernet, its trials and what came out of them."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from search.problem import Problem
from search_space import Architecture, UserError
from snugnet.calibration import Calibration, read_calibrations, typical
from snugnet.evaluator import CALIBRATION_ROWS, Evaluator, Inherited
from snugnet.experiment import Experiment, parse_experiment
from snugnet.latencies import LATENCIES
from snugnet.timing import Timing, device_for, keep_calibrations
from studies.schema import Column, Schema
from studies.table import Table
from supernet.checkpoint import content_hash, load_metadata, load_tensors, write_atomically
from supernet.cost import counts, flops_of_parts
from supernet.data import Data, load_data
from supernet.network import Task
from supernet.policies import policy
from supernet.policies.compute import flops_of_a_step
from supernet.settings import TrainingSettings
from supernet.supernet import Supernet
from supernet.training import load_weights

EXPERIMENT = "experiment.toml"

TRIALS = Schema(
    columns=(
        Column("trial", "int", "number of the trial, from 0", unit="count"),
        Column("id", "string", "content hash of the architecture"),
        Column("architecture", "string", "canonical JSON of the architecture"),
        Column("accuracy", "float", "on the search split, with inherited weights", unit="fraction", nullable=True),
        Column("loss_nats", "float", "mean cross-entropy on the search split", nullable=True),
        Column("latency_ms", "float", "median latency of one batch", nullable=True),
        Column("latency_low_ms", "float", "lower end of the median's 95% interval", nullable=True),
        Column("latency_high_ms", "float", "upper end of the median's 95% interval", nullable=True),
        Column("latency_stable", "bool", "whether the measurement settled", nullable=True),
        Column("params", "int", "trainable values", unit="count", nullable=True),
        Column("flops", "int", "operations of one forward pass of one input", unit="FLOPs", nullable=True),
        Column("activations", "int", "values that convolutions and matrix products give", unit="count", nullable=True),
        Column("peak_bytes", "int", "weights, inputs and results that are held at once", nullable=True),
        Column("seconds", "float", "time the evaluation took", unit="s", nullable=True),
        Column("algorithm", "string", "what proposed the architecture"),
        Column("seed", "int", "of the search", unit="count"),
        Column("device", "string", "JSON of the device that the latency belongs to", nullable=True),
        Column("supernet", "string", "content hash of the weights evaluated", nullable=True),
        Column("error", "string", "why there are no metrics", nullable=True),
    ),
    key=("trial",),
)


@dataclass(frozen=True)
class Run:
    """A run folder and the experiment in it. What is costly to read is read when first asked for, once."""

    folder: Path
    experiment: Experiment

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Raise UserError while another process trains, searches or studies in this folder."""
        with (self.folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"{self.folder} is in use by another snugnet command; wait for it to end") from None
            yield

    @classmethod
    def of(cls, experiment: Experiment, folder: Path) -> Run:
        """The folder's run of this experiment, there already or still to `begin`. Nothing is written.

        The sections that the weights do not depend on may differ from those in the folder. Raises UserError where the
        folder holds another experiment, or anything that is not a run.
        """
        if (folder / EXPERIMENT).exists():
            kept = any((folder / name).exists() for name in KEPT)
            before = cls._stored(folder, experiment.base) if kept else experiment
            for part in ("seed", "data", "space_table", "supernet"):
                if _of_weights(before, part) != _of_weights(experiment, part):
                    section = {"space_table": "[search_space]", "seed": "seed"}.get(part, f"[{part}]")
                    raise UserError(
                        f"{folder} holds a run of another experiment: {section} differs; choose another --run folder"
                    )
            return cls(folder, experiment)
        writable(folder, "--run")
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} exists and is not a run; choose a new --run folder")
        return cls(folder, experiment)

    def begin(self) -> None:
        """Make the folder of a new run, or bring the experiment in it up to date."""
        origin = json.dumps({"base": str(self.experiment.base)}).encode()
        for name, content in (("origin.json", origin), (EXPERIMENT, self.experiment.text.encode())):
            if not (self.folder / name).exists() or (self.folder / name).read_bytes() != content:
                write_atomically(self.folder / name, content)

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Raises UserError where the folder is no run."""
        if not (folder / EXPERIMENT).is_file():
            if (folder / "card.json").is_file():
                raise UserError(f"{folder} is a subnet, not a run; give the folder that snugnet train made")
            raise UserError(f"{folder} is not a run; make one with: snugnet train EXPERIMENT.toml --run {folder}")
        if (folder / "sizes").is_dir():
            raise UserError(f"{folder} holds a network that grew; each of its sizes is a run: {folder}/sizes/ID")
        try:
            base = Path(json.loads((folder / "origin.json").read_text(encoding="utf-8"))["base"])
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(
                f"{folder}/origin.json is missing or damaged; "
                f"mend it with: snugnet train EXPERIMENT.toml --run {folder}"
            ) from None
        return cls(folder, cls._stored(folder, base))

    @staticmethod
    def _stored(folder: Path, base: Path) -> Experiment:
        path = folder / EXPERIMENT
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path} cannot be read ({error}); restore it") from None
        return parse_experiment(text, base, where=str(path))

    @property
    def supernet_path(self) -> Path:
        return self.folder / "supernet.safetensors"

    def named(self, name: str) -> Path:
        """The folder of a run or a subnet that the experiment names. Raises UserError where there is none."""
        folder = self.experiment.base / name
        if not name or not folder.is_dir():
            raise UserError(f"{folder} is not a folder; name a run's or an extracted subnet's")
        return folder

    @property
    def report_ledger(self) -> Path:
        return self.folder / "report_split.jsonl"

    @cached_property
    def data(self) -> Data:
        """The train and search splits; the report split is not among them."""
        return load_data(self.experiment.data, self.experiment.base)

    @cached_property
    def task(self) -> Task:
        return Task(self.data.input_shape, self.data.num_classes)

    @cached_property
    def problem(self) -> Problem:
        """What is searched for, with all that can be counted for this task."""
        return replace(self.experiment.problem, counts=counts(self.task))

    @property
    def identity(self) -> dict[str, Any]:
        """What the weights depend on; the rest of the experiment may change without training again."""
        return {"data": self.data.fingerprint, **self._trained_by}

    @property
    def _trained_by(self) -> dict[str, Any]:
        """What the experiment says of the weights."""
        experiment = self.experiment
        said = {"seed": experiment.seed, "search_space": experiment.space_table}
        said |= {"supernet": _of_weights(experiment, "supernet")}
        return dict(json.loads(json.dumps(said)))

    @cached_property
    def trials(self) -> Table:
        return Table(self.folder / "trials", TRIALS)

    @cached_property
    def latencies(self) -> Table:
        """What `snugnet measure DIR --architectures K` has measured, on any device."""
        return Table(self.folder / "latencies", LATENCIES)

    @cached_property
    def parts(self) -> Table:
        """What `snugnet measure DIR --parts` has measured, on any device."""
        return Table(self.folder / "parts", LATENCIES)

    @property
    def stored(self) -> dict[str, Any]:
        """The metadata of the supernet's file, whose training may not have finished."""
        return load_metadata(self.supernet_path)

    @property
    def complete(self) -> bool:
        """Whether the supernet is trained to its end."""
        stored = self.stored if self.supernet_path.exists() else {}
        return bool(stored) and stored.get("step") == stored.get("num_steps")

    @cached_property
    def checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and metadata of the trained supernet. Raises UserError where training has not finished."""
        if not self.supernet_path.exists():
            raise UserError(
                f"{self.folder} has no trained supernet; run: snugnet train EXPERIMENT.toml --run {self.folder}"
            )
        tensors, metadata = load_tensors(self.supernet_path)
        if metadata.get("step") is None or metadata.get("step") != metadata.get("num_steps"):
            done = f"{metadata.get('step')} of {metadata.get('num_steps')}"
            raise UserError(f"{self.folder} is trained to step {done}; run snugnet train with --resume first")
        if not self._trained(metadata.get("identity") or {}):
            raise UserError(
                f"{self.supernet_path} was trained by another experiment than {EXPERIMENT} beside it; restore "
                f"either, or train anew in another folder with: snugnet train EXPERIMENT.toml --run FOLDER"
            )
        return tensors, metadata

    def _trained(self, identity: dict[str, Any]) -> bool:
        """Whether weights of this identity come from the run's experiment; settings that came later are at defaults."""
        said = self._trained_by
        settings = {key: getattr(TrainingSettings, key) for key in said["supernet"]} | identity.get("supernet", {})
        stored = said | identity | {"supernet": {key: settings[key] for key in said["supernet"]}}
        return all(stored[key] == said[key] for key in said)

    @cached_property
    def largest(self) -> Architecture:
        """The largest architecture that the weights were trained for: that of the space, or the one that had grown."""
        grown = self.checkpoint[1].get("grown")
        return Architecture.from_dict(grown) if grown else self.experiment.space.largest()

    @cached_property
    def epochs_alone(self) -> int:
        """Epochs of the largest architecture alone that cost the FLOPs of the supernet's training, at least one."""
        settings, space = self.experiment.supernet, self.experiment.space
        flops = flops_of_parts(self.task)
        a_step = flops_of_a_step(policy(settings.policy, settings.subnets_per_step), space, flops)
        return max(1, round(settings.epochs * a_step / flops(space.largest())))

    @cached_property
    def supernet(self) -> Supernet:
        """The trained supernet, for evaluation."""
        supernet = Supernet(self.experiment.space, self.task, seed=self.experiment.seed)
        load_weights(supernet, self.checkpoint[0], self.supernet_path)
        return supernet.eval()

    @cached_property
    def supernet_hash(self) -> str:
        return content_hash(dict(self.supernet.weights.items()))

    @cached_property
    def calibration(self) -> Calibration:
        """This device, calibrated once for the whole run, so that all its latencies can be compared."""
        device = device_for(self.experiment.search.latency, self.task)
        known = read_calibrations(self.folder).get(device.id)
        if known is None:
            known = Calibration.make(device, typical(self.experiment.space, self.task), self.task)
            known.keep(self.folder)
        return known

    @cached_property
    def evaluator(self) -> Evaluator:
        """Of the run's weights, on this device."""
        _ = self.calibration
        return Evaluator(self.inherited(self.supernet, self.supernet_hash), self.timing)

    def inherited(self, supernet: Supernet, supernet_hash: str) -> Inherited:
        """Accuracies of weights that may not be the run's own."""
        norm_rows = self.data.train.leading(CALIBRATION_ROWS)
        return Inherited(supernet, supernet_hash, norm_rows, self.data.search, self.experiment.components)

    @property
    def timing(self) -> Timing:
        """Latencies on the device of whatever worker measures them."""
        settings, references = self.experiment.search.latency, typical(self.experiment.space, self.task)
        return Timing(self.task, settings, references, read_calibrations(self.folder), self.experiment.components)

    def keep_trials(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append what an evaluator gave, and the calibrations of devices that were new to it."""
        keep_calibrations(rows, self.folder)
        self.trials.append([{name: row[name] for name in TRIALS.names if name in row} for row in rows])


KEPT = ("supernet.safetensors", "growing.safetensors", "trials", "study", "latencies", "parts")
"""What another experiment in a run's folder would belie; a training that diverged at once leaves none of it."""

NOT_OF_WEIGHTS = ("threads", "checkpoint_steps")
"""Settings of training that may change between a stop and what continues it."""


def _of_weights(experiment: Experiment, part: str) -> Any:
    value = getattr(experiment, part)
    if part != "supernet":
        return value
    return {key: setting for key, setting in vars(value).items() if key not in NOT_OF_WEIGHTS}


def writable(path: Path, option: str) -> Path:
    """The path, links followed, once it is sure that a folder can be made there. Raises UserError."""
    place = path.expanduser().resolve()
    ancestor = next(folder for folder in (place, *place.parents) if folder.exists())
    if not ancestor.is_dir() or not os.access(ancestor, os.W_OK | os.X_OK):
        raise UserError(f"{option} {path} cannot be made: {ancestor} is not a folder that you may write to")
    return place

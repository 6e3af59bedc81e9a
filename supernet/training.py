"""Training: one short loop for every policy. A network trained alone is the supernet of its one architecture."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search_space import Architecture, UserError
from supernet.checkpoint import below, load_tensors, save_tensors, whole
from supernet.cost import flops_of_parts
from supernet.data import Split, batches
from supernet.distributed import Group
from supernet.hints.shared import Hints
from supernet.optimizer import SubnetAdamW
from supernet.policies import policy
from supernet.policies.policy import Draw
from supernet.recipe import Batches, Recipe, augmentation_of
from supernet.sample_pruning import SamplePruning, row_losses
from supernet.settings import TrainingSettings
from supernet.stage_features import Outputs, stage_features
from supernet.supernet import Supernet

FEWEST_BETWEEN_PROBES = 50
"""Steps. A probe takes as long as many of them."""

PATIENCE = 10
"""Steps in a row whose loss or gradient is not finite, after which training stops."""

LOWER = "lower the learning rate, the weight decay or the weights of further losses in [supernet]"
"""What may help where training diverges."""

LAST_STEPS = ("losses", "sizes", "num_skipped", "num_skipped_in_a_row")
"""What a training run remembers of its last steps beside the weights."""

RECIPES = 1
"""Keeps the draws of mixing and dropping apart from those of the policy."""


@dataclass
class Training:
    """A training run that can be written to a file at any step and read back: same seed, same machine, same result.

    `history` has one row for each logged step; its `cpu_seconds` are those of all processes. `identity` says what the
    run belongs to; a file of another is refused. `teacher` is the trained network, from inputs to logits, that
    `settings.teacher` names. `losses` are those of the subnets of the last step that counted, in nats, and `sizes`
    their numbers of parameters. Each process of the `group` is given the whole batches, and ends each step with the
    same weights as all others. With `settings.sample_pruning`, the training split has `num_rows`, and the batches
    follow the passes of `pruning`.
    """

    supernet: Supernet
    settings: TrainingSettings
    num_steps: int
    seed: int
    identity: dict[str, Any] = field(default_factory=dict)
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    teacher: nn.Module | None = None
    group: Group = field(default_factory=Group)
    num_rows: int = 0

    def __post_init__(self) -> None:
        if self.settings.teacher is not None and self.teacher is None:
            raise ValueError("settings.teacher names a teacher; give its network")
        if self.teacher is not None:
            self.teacher.eval()
        self.policy = policy(self.settings.policy, self.settings.subnets_per_step)
        taught = self.teacher is not None or self.policy.first_teaches
        self.flops = flops_of_parts(self.supernet.task)
        self.hints = Hints(self.settings.hints if taught else {}, self.supernet, self.teacher, self.seed)
        weights = dict(self.supernet.weights.items())
        self.optimizer = SubnetAdamW(weights | self.hints.weights, weight_decay=self.settings.weight_decay)
        self.averages = {name: weight.detach().clone() for name, weight in weights.items() if self.settings.ema_decay}
        self.recipe = Recipe(self.settings, self.supernet.task.num_classes)
        given = (self.settings, self.num_rows, self.num_steps, self.seed, self.supernet.task.num_classes)
        self.pruning = SamplePruning(*given) if self.settings.sample_pruning else None
        self.settings.refuse_more_workers_than_rows(self.group.size)
        self.losses: list[float] = []
        self.sizes: list[int] = []
        self.num_skipped = 0
        self.num_skipped_in_a_row = 0

    def run(
        self,
        batches: Batches,
        *,
        checkpoint: Path | None = None,
        on_step: Callable[[Training], None] = lambda _: None,
        probe: Callable[[Supernet], dict[str, float]] = lambda _: {},
        stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Train to the last step; True when it was reached, False when `stop` asked to end before.

        `probe` measures the supernet at most ten times on the way and at the end, into the history. With a
        `checkpoint` path, the state is written every `checkpoint_steps` and at the end.
        """
        every = max(1, self.num_steps // 100)
        probe_every = max(FEWEST_BETWEEN_PROBES, self.num_steps // 10)
        before = self.history[-1] if self.history else {"seconds": 0.0, "cpu_seconds": 0.0}
        started, cpu_started = time.monotonic(), time.process_time()
        self.supernet.train()
        for x, labels in batches(self.step):
            if self.step == self.num_steps or self.group.any(stop()):
                break
            self.train_step(x, labels)
            self.step += 1
            last = self.step == self.num_steps
            if last:
                self._take_averages()
            if self.step % every == 0 or last:
                row = {"step": self.step, "seconds": before["seconds"] + time.monotonic() - started}
                spent = self.group.sum([], [time.process_time() - cpu_started])[0]
                row |= {"cpu_seconds": before["cpu_seconds"] + spent}
                row |= {"loss_nats": float(np.mean(self.losses)), "loss_first_nats": self.losses[0]}
                row |= {f"loss_{size}_nats": loss for size, loss in self.losses_by_size().items()}
                row |= {"learning_rate": self.learning_rate(self.step - 1), "skipped_steps": self.num_skipped}
                if self.step % probe_every == 0 or last:
                    row |= probe(self.supernet)
                    self.supernet.train()
                self.history.append(row)
            on_step(self)
            if checkpoint and self.step % self.settings.checkpoint_steps == 0 and not last:
                self.save(checkpoint)
        if checkpoint:
            self.save(checkpoint)
        return self.step == self.num_steps

    def batches_of(self, train: Split) -> Batches:
        """The batches that the settings ask for; in epochs, or in the passes that sample pruning makes of them."""
        size, augmentation = self.settings.batch_size, augmentation_of(self.settings)
        return lambda step: batches(train, size, self.seed, step, augmentation, self.pruning)

    def train_step(self, x: Tensor, labels: Tensor) -> None:
        """One update from every architecture that the policy draws for this step; `losses` has that of each, in nats.

        A step whose losses or gradient are not all finite changes nothing. Raises UserError where they stay so.
        """
        settings, step, progress = self.settings, self.step, self.step / self.num_steps
        generator = np.random.default_rng((self.seed, step, RECIPES))
        x, labels = self.recipe.batch(x, labels, generator)
        architectures = self.policy(self._draw(x, labels))
        num_shares = len(architectures) if self.policy.splits_batch else 1
        shares = cycle(self._shares(x, labels, num_shares, generator))
        first: Outputs | None = None
        answers: list[tuple[Tensor, Tensor]] = []
        losses: list[float] = []
        sizes: list[int] = []
        for architecture, (inputs, targets, random, share, *lesson) in zip(architectures, shares, strict=False):
            leaves, (network, parts) = self.supernet.leaves_for(architecture), self.supernet.skeleton(architecture)
            with self._autocast(x), self.recipe.forward(network, progress, first is not None, random) as stages:
                outputs = Outputs(self.supernet(inputs, architecture, leaves).float(), stages)
            teacher, trust = (lesson[0], 1.0) if lesson else (first, progress)
            loss = self.recipe.loss(outputs, targets, teacher, trust)
            hint = self.hints(outputs, teacher, trust)
            ((loss + hint.loss + self.recipe.penalty(network, leaves)) * share / len(architectures)).backward()
            self.optimizer.accumulate([*parts, *hint.parts], leaves | hint.leaves)
            losses.append(loss.item() * share)
            sizes.append(sum(leaf.numel() for leaf in leaves.values()))
            answers.append((outputs.logits.detach(), targets))
            if self.policy.first_teaches and first is None:
                first = outputs.detached()
        of_rows = [row_losses(answers, len(x), num_shares, self.group)] if self.pruning else []
        losses = self.group.sum([*self.optimizer.gradients().values(), *of_rows], losses)
        norm = self.optimizer.clip(settings.clip_norm)
        if not all(map(math.isfinite, (*losses, norm))):
            self._skip(losses, norm)
            return
        self.num_skipped_in_a_row = 0
        self.losses, self.sizes = losses, sizes
        self.optimizer.step(self.learning_rate(step))
        self.policy.learn(architectures, losses)
        if self.pruning:
            self.pruning.learn(step, *of_rows)
        if settings.ema_decay:
            current = [weight.detach() for weight in self.supernet.weights.values()]
            decay = min(settings.ema_decay, (1 + step) / (10 + step))  # the random initial weights are soon forgotten
            torch._foreach_lerp_(list(self.averages.values()), current, 1 - decay)

    def _skip(self, losses: list[float], norm: float) -> None:
        """Leave the step out. Raises UserError where no later one can be expected to do better."""
        self.optimizer.discard()
        self.num_skipped += 1
        self.num_skipped_in_a_row += 1
        broken = not all(bool(weight.isfinite().all()) for weight in self.supernet.weights.values())
        if self.step == 0 or broken or self.num_skipped_in_a_row == PATIENCE:
            passed = self.step or all(map(math.isfinite, losses))
            cause = LOWER if passed else f"the first pass of a component gave no number, or {LOWER}"
            found = f"the loss is {losses}, the norm of the gradient {norm}"
            raise UserError(f"training diverged at step {self.step}: {found}; {cause}")

    def _shares(
        self, x: Tensor, labels: Tensor, parts: int, generator: np.random.Generator
    ) -> Iterator[tuple[Any, ...]]:
        """For each part of the batch, this process's rows: inputs, labels, what draws random numbers for them, what
        their mean counts in the part's mean, and the given teacher's outputs if there is one.
        """
        for inputs, targets in zip(x.tensor_split(parts), labels.tensor_split(parts), strict=True):
            own = self.group.share(inputs)
            random = partial(self.group.draw, generator, len(inputs))
            lesson = () if self.teacher is None else (self._given(self.teacher, own),)
            yield own, self.group.share(targets), random, len(own) / len(inputs), *lesson

    def _autocast(self, x: Tensor) -> torch.autocast:
        return torch.autocast(x.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16")

    @torch.no_grad()
    def _given(self, teacher: nn.Module, x: Tensor) -> Outputs:
        with self._autocast(x), stage_features(teacher, self.hints.active) as stages:
            return Outputs(teacher(x).float(), stages)

    def _draw(self, x: Tensor, labels: Tensor) -> Draw:
        """What the policy may look at in this step."""
        supernet, group = self.supernet, self.group
        inputs, targets = group.share(x), group.share(labels)

        @torch.no_grad()
        def loss(architecture: Architecture) -> float:
            mean = F.cross_entropy(supernet(inputs, architecture).float(), targets).item()
            return group.sum([], [mean * len(inputs) / len(x)])[0]

        generator = np.random.default_rng((self.seed, self.step))
        progress = self.step / self.num_steps
        return Draw(supernet.space, generator, progress, loss, self.flops)

    def learning_rate(self, step: int) -> float:
        return self.settings.learning_rate_at(step, self.num_steps)

    def logged(self) -> list[dict[str, float]]:
        """The row of the history that the last step has added, if it has."""
        return [row for row in self.history[-1:] if row["step"] == self.step]

    def losses_by_size(self) -> dict[str, float]:
        """Of the last step that counted, in nats: of its largest subnet, of its smallest if it had two, and the mean
        of the others if it had more.
        """
        *others, largest = (self.losses[i] for i in np.argsort(self.sizes, kind="stable"))
        losses = {"largest": largest} | ({"smallest": others.pop(0)} if others else {})
        return losses | ({"others": float(np.mean(others))} if others else {})

    @property
    def complete(self) -> bool:
        return self.step == self.num_steps

    def weights(self) -> dict[str, Tensor]:
        """The shared weights; once training is complete, they are their running averages if there are any."""
        return {name: weight.detach() for name, weight in self.supernet.weights.items()}

    @torch.no_grad()
    def _take_averages(self) -> None:
        for name, average in self.averages.items():
            self.supernet.weights[name].copy_(average)

    def save(self, path: Path) -> None:
        """Write all that a resumed run needs; once training is complete, only the weights."""
        tensors = {f"weights/{name}": tensor for name, tensor in self.weights().items()}
        if not self.complete:
            tensors |= {f"averages/{name}": tensor for name, tensor in self.averages.items()}
            tensors |= {f"optimizer/{name}": tensor for name, tensor in self.optimizer.state_dict().items()}
            tensors |= {f"policy/{name}": tensor for name, tensor in self.policy.state_dict().items()}
            tensors |= self.hints.weights
            if self.pruning:
                tensors |= {f"pruning/{name}": tensor for name, tensor in self.pruning.state_dict().items()}
        metadata = {"step": self.step, "num_steps": self.num_steps, "history": self.history, "identity": self.identity}
        metadata |= {name: getattr(self, name) for name in LAST_STEPS}
        save_tensors(path, tensors, metadata)

    @torch.no_grad()
    def restore(self, path: Path) -> None:
        """Continue from a file that `save` wrote. Raises UserError where it belongs to another run."""
        tensors, metadata = load_tensors(path)
        if metadata.get("identity") != self.identity or metadata.get("num_steps") != self.num_steps:
            raise UserError(
                f"{path} belongs to another experiment or other options; "
                "use another --run folder or those it was made for"
            )
        with whole(path):
            load_weights(self.supernet, tensors, path)
            self.step, self.history = metadata["step"], metadata["history"]
            for name in LAST_STEPS:
                setattr(self, name, metadata[name])
            if not self.complete:
                self.optimizer.load_state_dict(below("optimizer/", tensors))
                self.policy.load_state_dict(below("policy/", tensors))
                self.hints.load(tensors)
                if self.pruning:
                    self.pruning.load_state_dict(below("pruning/", tensors))
                for name, average in self.averages.items():
                    average.copy_(tensors[f"averages/{name}"])


@torch.no_grad()
def load_weights(supernet: Supernet, tensors: dict[str, Tensor], path: Path) -> None:
    """Fill the supernet from the `weights/` of a checkpoint. Raises UserError where names or shapes differ."""
    for name, weight in supernet.weights.items():
        stored = tensors.get(f"weights/{name}")
        if stored is None or stored.shape != weight.shape:
            raise UserError(
                f"{path} has no weight {name} of shape {tuple(weight.shape)}: it was made for another space"
            )
        weight.copy_(stored)

"""The search: weights of the mixed network and logits of the decisions, learned in turn from two sets of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from search_space import Architecture, UserError
from supernet.checkpoint import below, load_tensors, save_tensors, whole
from supernet.optimizer import SubnetAdamW
from supernet.settings import TrainingSettings
from supernet.supernet import Supernet
from supernet.training import load_weights
from supernet.transformable.decisions import Decisions, Sample, draw_two, temperature
from supernet.transformable.flops import ExpectedFlops
from supernet.transformable.mixed import Alignment, MixedNetwork

COST_WEIGHT = 2.0
"""Of the loss on expected FLOPs beside the cross-entropy (Dong & Yang, 2019, section 4.1)."""

TRAVEL = 10.0
"""Learning rate of the logits times the number of steps: far enough to decide. The paper's goes three times as far, in
30,000 steps at 0.001.
"""

BETAS, WEIGHT_DECAY = (0.5, 0.999), 1e-3
"""Of Adam for the logits: the public code's."""

DRAWS = 4096
"""Architectures drawn in the end where the most probable one misses the target."""

WEIGHTS, LOGITS, DRAWN = range(3)
"""What random numbers are for; part of their key."""

Pairs = Callable[[int], Iterator[tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]]]
"""From a step on: inputs and labels for the weights, and others for the logits."""


@dataclass
class Transformation:
    """A search that can be written to a file at any step and read back: same seed, same machine, same result.

    `supernet` is trained: give a copy. `target` is in FLOPs, `tolerance` a share of it. The paper's alignment is
    "interpolation", which mixes up the roles that channels have learned in a supernet (docs/training.md compares).

    Source: Dong & Yang, "Network Pruning via Transformable Architecture Search", NeurIPS 2019, algorithm 1 up to the
    choice of the architecture; its distillation is another training, of the subnet.
    """

    supernet: Supernet
    decisions: Decisions
    flops: ExpectedFlops
    target: float
    tolerance: float
    settings: TrainingSettings
    num_steps: int
    seed: int
    alignment: Alignment = "zeros"
    step: int = 0

    def __post_init__(self) -> None:
        self._sizes = [len(options) for options in self.decisions.options.values()]
        self.logits = torch.zeros(sum(self._sizes), requires_grad=True)
        self._mixed = MixedNetwork(self.supernet.train(), self.decisions, self.alignment)
        self._of_weights = SubnetAdamW(dict(self.supernet.weights.items()), weight_decay=self.settings.weight_decay)
        rate = TRAVEL / self.num_steps
        self._of_logits = torch.optim.Adam([self.logits], rate, BETAS, weight_decay=WEIGHT_DECAY)

    def run(
        self,
        batches: Pairs,
        *,
        checkpoint: Path,
        on_step: Callable[[Transformation], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Search to the last step; True when it was reached, False when `stop` asked to end before.

        The state is written every `checkpoint_steps` and at the end.
        """
        for for_weights, for_logits in batches(self.step):
            if self.complete or stop():
                break
            self.update_weights(*for_weights)
            self.update_logits(*for_logits)
            self.step += 1
            on_step(self)
            if self.step % self.settings.checkpoint_steps == 0:
                self.save(checkpoint)
        self.save(checkpoint)
        return self.complete

    def update_weights(self, x: Tensor, labels: Tensor) -> None:
        """One step down the cross-entropy of a mixed network, at the learning rate of the supernet's own training."""
        logits = self._mixed(x, self._sample(self.logits.detach(), WEIGHTS))
        loss = F.cross_entropy(logits, labels, label_smoothing=self.settings.label_smoothing)
        loss.backward()
        for part, leaf in self._mixed.leaves.values():
            self._of_weights.accumulate([part], {part.name: leaf})
        norm = self._of_weights.clip(self.settings.clip_norm)
        if not math.isfinite(loss.item() + norm):
            found = f"the loss is {loss.item()}, the norm of the gradient {norm}"
            raise UserError(f"the search diverged at step {self.step}: {found}; lower supernet.learning_rate")
        self._of_weights.step(self.settings.learning_rate_at(self.step, self.num_steps))

    def update_logits(self, x: Tensor, labels: Tensor) -> None:
        """One step down the cross-entropy of another mixed network plus the cost (equation 7)."""
        loss = F.cross_entropy(self._mixed(x, self._sample(self.logits, LOGITS)), labels)
        (self.logits.grad,) = torch.autograd.grad(loss + COST_WEIGHT * self.cost(), self.logits)
        self._of_logits.step()

    def cost(self) -> Tensor:
        """The logarithm of the expected FLOPs where the most probable architecture has too many, its negative where it
        has too few, 0 within the tolerance (equation 8).
        """
        excess = float(self.flops(self._one_hot(self._most_probable()))) - self.target
        if abs(excess) <= self.tolerance * self.target:
            return torch.zeros(())
        return math.copysign(1, excess) * self.flops(self.probabilities()).log()

    def probabilities(self) -> dict[str, Tensor]:
        """Of each decision's options: (num_options,)."""
        return {name: logits.softmax(dim=0) for name, logits in self._split(self.logits).items()}

    @property
    def expected_flops(self) -> float:
        """Of an architecture drawn by the probabilities."""
        return self.flops(self.probabilities()).item()

    def architecture(self) -> Architecture:
        """The most probable architecture if it is within the tolerance of the target, else the most probable of many
        drawn that are, else the nearest of them.
        """
        best = self._most_probable()
        drawn = {name: torch.cat([best[name], others]) for name, others in self._drawn().items()}
        misses = (self.flops(self._one_hot(drawn)) - self.target).abs()
        within = misses <= self.tolerance * self.target
        if not within[0]:
            likely = self._log_probability(drawn).masked_fill(~within, -math.inf)
            chosen = likely.argmax() if within.any() else misses.argmin()
            best = {name: options[chosen] for name, options in drawn.items()}
        options = self.decisions.options
        return self.decisions.build({name: options[name][int(best[name])] for name in options})

    def _log_probability(self, drawn: Mapping[str, Tensor]) -> Tensor:
        """Of architectures with these options (num_architectures,); decisions beyond their depths do not count."""
        total = torch.zeros(())
        for name, probabilities in self.probabilities().items():
            counts = torch.ones(())
            if ".blocks." in name:
                stage, _, block = name.partition(".blocks.")
                depths = torch.tensor(self.decisions.options[f"{stage}.depth"])
                counts = depths[drawn[f"{stage}.depth"]] > int(block.partition(".")[0])
            total = total + counts * probabilities.detach().log()[drawn[name]]
        return total

    @property
    def complete(self) -> bool:
        return self.step == self.num_steps

    def save(self, path: Path) -> None:
        """Write all that a resumed search needs; once it is complete, only the logits."""
        tensors = {"logits": self.logits}
        if not self.complete:
            tensors |= {f"weights/{name}": weight for name, weight in self.supernet.weights.items()}
            tensors |= {f"of_weights/{name}": tensor for name, tensor in self._of_weights.state_dict().items()}
            tensors |= {f"of_logits/{name}": tensor for name, tensor in self._of_logits.state[self.logits].items()}
        save_tensors(path, tensors, {"step": self.step, "num_steps": self.num_steps})

    @torch.no_grad()
    def restore(self, path: Path) -> None:
        """Continue from a file that `save` of the same search wrote. Raises UserError where it is damaged."""
        tensors, metadata = load_tensors(path)
        with whole(path):
            self.step = metadata["step"]
            self.logits.copy_(tensors["logits"])
            if not self.complete:
                load_weights(self.supernet, tensors, path)
                self._of_weights.load_state_dict(below("of_weights/", tensors))
                self._of_logits.state[self.logits] = below("of_logits/", tensors)

    def _sample(self, logits: Tensor, purpose: int) -> Sample:
        generator = np.random.default_rng((self.seed, self.step, purpose))
        heat = temperature(self.step / self.num_steps)
        options = self.decisions.options
        return {name: draw_two(options[name], each, heat, generator) for name, each in self._split(logits).items()}

    def _split(self, logits: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.decisions.options, logits.split(self._sizes), strict=True))

    def _most_probable(self) -> dict[str, Tensor]:
        return {name: logits.argmax(dim=0, keepdim=True) for name, logits in self._split(self.logits).items()}

    def _drawn(self) -> dict[str, Tensor]:
        """The options of `DRAWS` architectures: (DRAWS,) for each decision."""
        generator = np.random.default_rng((self.seed, self.num_steps, DRAWN))
        drawn = {}
        for name, logits in self._split(self.logits.detach().double()).items():
            probabilities = logits.softmax(dim=0).numpy()
            drawn[name] = torch.from_numpy(generator.choice(len(probabilities), DRAWS, p=probabilities))
        return drawn

    def _one_hot(self, chosen: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: F.one_hot(chosen[name], len(options)) for name, options in self.decisions.options.items()}

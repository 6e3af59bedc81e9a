"""The `[supernet]` section of an experiment: how the supernet is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from search_space import UserError
from supernet.data.rand_augment import HIGHEST_MAGNITUDE
from supernet.policies import policy

HIGHEST_RATE = 100.0
"""A learning rate above this is a slip of the pen."""

HINTS = ("feature_distillation", "attention_distillation", "recalibration_distillation")
"""The settings that weigh what a teacher's stages teach (supernet/hints)."""

HIGHEST = {
    "epochs": 1e6,
    "subnets_per_step": 256,
    "learning_rate": HIGHEST_RATE,
    "weight_decay": 100,
    "orthogonality": 1e6,
    "mixup": 1000,
    "cutmix": 1000,
    **dict.fromkeys(HINTS, 1e6),
    "rand_augment": 16,
    "rand_augment_magnitude": HIGHEST_MAGNITUDE,
}
"""Above these, a step or a training would not end, or could not be meant."""

NEEDS = {
    "rand_augment_magnitude": "rand_augment",
    "drop_path_schedule": "drop_path",
    "distillation_loss": "distillation",
}
"""Settings that say how another one works."""


@dataclass(frozen=True)
class TrainingSettings:
    """The `[supernet]` section. `learning_rate` rises over `warmup` of the steps and falls to 0 along a half cosine.

    `subnets_per_step` is the policy's usual number when not given.
    `distillation` is the largest weight that a teacher's outputs get beside the labels. A step's own first subnet
    teaches with a weight that grows from 0 over training, because a teacher that has learned little yet harms its
    pupils; the trained network that `teacher` names teaches every subnet with the whole weight from the start. The same
    holds for its stages, whose distances are added to the loss.
    `start` names the trained network whose weights, sorted by importance, are the first ones.
    `sample_pruning` is the share of the rows that a pass leaves out at random, beside its easiest or hardest.
    `mixup` and `cutmix` are the parameters of their Beta distributions. `threads` of the CPU are PyTorch's default when
    not given; 1 is several times faster than 2 on a machine that others use too.
    """

    policy: str = "log_uniform"
    subnets_per_step: int | None = None
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-2
    warmup: float = 0.1
    weight_decay: float = 0.05
    label_smoothing: float = 0.0
    distillation: float = 0.5
    distillation_loss: Literal["kl", "alpha"] = "kl"
    feature_distillation: float = 0.0
    attention_distillation: float = 0.0
    recalibration_distillation: float = 0.0
    teacher: str | None = None
    start: str | None = None
    clip_norm: float = 1.0
    ema_decay: float | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    sample_pruning: float = 0.0
    shift: int = 0
    flip: bool = False
    rand_augment: int = 0
    rand_augment_magnitude: float = 5.0
    mixup: float = 0.0
    cutmix: float = 0.0
    drop_path: float = 0.0
    drop_path_schedule: Literal["constant", "linear"] = "constant"
    channel_sampling: bool = False
    orthogonality: float = 0.0
    bias_loss: bool = False
    checkpoint_steps: int = 100
    threads: int | None = None

    def num_steps(self, rows: int, epochs: int | None = None) -> int:
        """Updates in so many epochs, the settings' own unless given, over so many training rows."""
        if self.batch_size > rows:
            raise UserError(f"supernet.batch_size={self.batch_size} is more than the {rows} training rows; lower it")
        if epochs and epochs > HIGHEST["epochs"]:
            raise UserError(f"epochs={epochs} must be at most {HIGHEST['epochs']:,.0f}")
        return (epochs or self.epochs) * (rows // self.batch_size)

    def __post_init__(self) -> None:
        policy(self.policy, self.subnets_per_step)
        for name in ("epochs", "batch_size", "learning_rate", "clip_norm", "checkpoint_steps"):
            if getattr(self, name) <= 0:
                raise UserError(f"supernet.{name}={getattr(self, name)} must be above 0")
        not_below_0 = ("weight_decay", "shift", "mixup", "cutmix", "orthogonality", *HINTS)
        for name in (*not_below_0, "rand_augment", "rand_augment_magnitude"):
            if getattr(self, name) < 0:
                raise UserError(f"supernet.{name}={getattr(self, name)} must be at least 0")
        for name, highest in HIGHEST.items():
            if (getattr(self, name) or 0) > highest:
                raise UserError(f"supernet.{name}={getattr(self, name)} must be at most {highest:,.0f}")
        for name in ("warmup", "distillation"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"supernet.{name}={getattr(self, name)} must lie between 0 and 1")
        for name in ("drop_path", "label_smoothing", "sample_pruning"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"supernet.{name}={getattr(self, name)} must be at least 0 and below 1")
        for name, needed in NEEDS.items():
            if getattr(self, name) != type(self).__dataclass_fields__[name].default and not getattr(self, needed):
                raise UserError(
                    f"supernet.{name}={getattr(self, name)} changes nothing at supernet.{needed}=0; raise that, or "
                    f"leave {name} out"
                )
        if self.teacher is not None and self.distillation == 0 and not self.hints:
            raise UserError(
                "supernet.teacher teaches nothing at supernet.distillation=0; raise it or remove the teacher"
            )
        if self.threads is not None and self.threads < 1:
            raise UserError(f"supernet.threads={self.threads} must be at least 1; leave it out for PyTorch's default")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise UserError(f"supernet.ema_decay={self.ema_decay} must lie between 0 and 1; leave it out for none")

    @property
    def hints(self) -> dict[str, float]:
        """The weights of what a teacher's stages teach, without those that are 0."""
        return {name: getattr(self, name) for name in HINTS if getattr(self, name)}

    def refuse_more_workers_than_rows(self, num_workers: int) -> None:
        """Raise UserError where some worker would have no row of some part of the batch."""
        drawn = policy(self.policy, self.subnets_per_step)
        parts = drawn.num_subnets if drawn.splits_batch else 1
        if self.batch_size < parts * num_workers:
            raise UserError(
                f"supernet.batch_size={self.batch_size} is less than one row for each worker and each part of "
                f"the batch; make it at least {parts * num_workers}"
            )

    def learning_rate_at(self, step: int, num_steps: int) -> float:
        """Linear warm-up, then half a cosine (Loshchilov & Hutter, "SGDR", ICLR 2017, equation 5) to 0."""
        warmup = max(1, round(self.warmup * num_steps))
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        progress = (step - warmup) / max(1, num_steps - warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

"""A recipe: what a training step does to its batch, to each forward pass and to each loss. Off unless settings ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from supernet.channel_sampling import sampled_channels
from supernet.data import Augmentation, Batch
from supernet.data.rand_augment import RandAugment
from supernet.feature_diversity import diversity_weights
from supernet.losses import subnet_loss
from supernet.mixing import Mixing
from supernet.network import Network
from supernet.orthogonality import soft_orthogonality
from supernet.settings import TrainingSettings
from supernet.stage_features import Outputs, stage_features
from supernet.stochastic_depth import Uniform, drop_paths, scheduled

Batches = Callable[[int], Iterator[Batch]]
"""From a step on: inputs (batch, channels, *spatial) and labels (batch,) of every following step."""


def augmentation_of(settings: TrainingSettings) -> Augmentation | None:
    """What `shift`, `flip` and `rand_augment` ask for; None where they ask for nothing."""
    number = settings.rand_augment
    further = RandAugment(number, settings.rand_augment_magnitude) if number else None
    return Augmentation(settings.shift, settings.flip, further) if settings.shift or settings.flip or further else None


@dataclass(frozen=True)
class Recipe:
    """Each part is a file of its own; here stands what each of them is given, and when."""

    settings: TrainingSettings
    num_classes: int

    def batch(self, x: Tensor, labels: Tensor, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Inputs (batch, channels, *spatial) and labels (batch,) as the step uses them; labels may become
        probabilities (batch, num_classes).
        """
        if self.settings.channel_sampling:
            x = sampled_channels(x, generator)
        return Mixing(self.settings.mixup, self.settings.cutmix, self.num_classes)(x, labels, generator)

    @contextmanager
    def forward(self, network: Network, progress: float, is_pupil: bool, random: Uniform) -> Iterator[list[Tensor]]:
        """Around a training forward pass; afterwards the list holds the stages' outputs, if a loss needs them.

        The pupil of another subnet drops no paths: it is smaller and fits too little rather than too well (Yu et al.,
        "BigNAS", ECCV 2020, section 3.1).
        """
        settings = self.settings
        rate = 0.0 if is_pupil else scheduled(settings.drop_path, settings.drop_path_schedule, progress)
        with drop_paths(network, rate, random), stage_features(network, self.wants_stages) as stages:
            yield stages

    @property
    def wants_stages(self) -> bool:
        """Whether a loss needs the stages' outputs."""
        return self.settings.bias_loss or bool(self.settings.hints)

    def loss(self, outputs: Outputs, labels: Tensor, teacher: Outputs | None, trust: float) -> Tensor:
        """What one subnet is trained on, in nats; `teacher` are the teacher's outputs for the same inputs, `trust` the
        share of their whole weight that they get.
        """
        settings = self.settings
        weights = diversity_weights(outputs.stages[-1]) if settings.bias_loss else None
        logits, weight = teacher.logits if teacher else None, settings.distillation * trust
        smoothing, divergence = settings.label_smoothing, settings.distillation_loss
        return subnet_loss(outputs.logits, labels, smoothing, logits, weight, divergence, weights)

    def penalty(self, network: Network, weights: Mapping[str, Tensor]) -> Tensor | float:
        """What the parameters themselves add to the loss."""
        strength = self.settings.orthogonality
        return strength * soft_orthogonality(network, weights) if strength else 0.0

"""What every policy is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from search_space import Architecture, SearchSpace


@dataclass(frozen=True)
class Draw:
    """What a policy may look at when it draws the architectures of a step.

    `generator` follows from the run's seed and the step alone. `progress` is the share of the training that is done, 0
    to below 1. `loss` is an architecture's cross-entropy on the step's batch in nats, without gradients; it costs a
    forward pass. `flops` are an architecture's for one input; asking for them takes microseconds.
    """

    space: SearchSpace
    generator: np.random.Generator
    progress: float
    loss: Callable[[Architecture], float]
    flops: Callable[[Architecture], int]


class Policy(ABC):
    """Draws the architectures of each step; the loop trains them and updates once for all of them.

    A policy that learns from the losses keeps what it learned in `state_dict`, so that a resumed run goes on as if it
    had never stopped.
    """

    fewest: ClassVar[int] = 1
    """Architectures that a step must have."""

    usual: ClassVar[int] = 1
    """Architectures in a step where the experiment does not say."""

    first_teaches: ClassVar[bool] = False
    """Whether the first architecture's outputs are targets for the others (in-place distillation)."""

    splits_batch: ClassVar[bool] = False
    """Whether each architecture is trained on its own part of the batch, not on the whole."""

    def __init__(self, num_subnets: int) -> None:
        """`num_subnets`: architectures in each step, at least `fewest`; equal ones may be left out."""
        self.num_subnets = num_subnets

    @abstractmethod
    def __call__(self, draw: Draw) -> list[Architecture]:
        """The architectures of one step."""

    def learn(self, architectures: Sequence[Architecture], losses: Sequence[float]) -> None:  # noqa: B027
        """Take in the training losses of the architectures that were drawn, in nats. Most policies do nothing."""

    def state_dict(self) -> dict[str, Tensor]:
        """What was learned, as named tensors of fixed shapes."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027
        """Continue from what `state_dict` gave."""

"""One architecture trained alone: as the supernet of its one architecture, in the same loop by the same recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from search_space import Architecture, SearchSpace
from snugnet.evaluator import inherited
from supernet.data import Data
from supernet.network import Network, Task
from supernet.settings import TrainingSettings
from supernet.supernet import Supernet
from supernet.training import Training


@dataclass(frozen=True)
class Alone:
    """A trained network as it is deployed, and the `seconds` that the loop took, of the clock and of the CPU as far as
    the loop records them.
    """

    network: Network
    seconds: float
    cpu_seconds: float | None


def train_alone(
    architecture: Architecture,
    data: Data,
    settings: TrainingSettings,
    num_steps: int,
    seed: int,
    *,
    start: Mapping[str, Tensor] | None = None,
    teacher: nn.Module | None = None,
    on_step: Callable[[Training], None] = lambda _: None,
) -> Alone:
    """Train on the training split for `num_steps` by `settings`, except that each step trains the one architecture and
    that no teacher takes part but the one given here.

    `start` are its parameters to begin with, by their names in its network; random ones from the seed if not given.
    """
    supernet = Supernet(SearchSpace.only(architecture), Task(data.input_shape, data.num_classes), seed=seed)
    if start is not None:
        supernet.fill(architecture, start)
    recipe = dataclasses.replace(settings, policy="uniform", subnets_per_step=1, teacher=None)
    training = Training(supernet, recipe, num_steps, seed, teacher=teacher, num_rows=len(data.train))
    training.run(training.batches_of(data.train), on_step=on_step)
    last = training.history[-1]
    return Alone(inherited(supernet, architecture, data.train), last["seconds"], last.get("cpu_seconds"))

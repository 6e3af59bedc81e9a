"""The evaluator of a search: architectures in, rows of metrics out. It lives in a worker and holds all that it
needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from search_space import Architecture
from snugnet.timing import Timing
from supernet.cost import cost, peak_bytes
from supernet.data import Split, in_order
from supernet.evaluation import Quality, evaluate, recalibrate
from supernet.folding import fold, foldable
from supernet.foreign import load_components
from supernet.network import Network
from supernet.supernet import Supernet

BATCH_SIZE = 256

CALIBRATION_ROWS = 1024
"""Training rows that give a subnet's batch norms their statistics."""


@dataclass(frozen=True)
class Inherited:
    """Accuracy with inherited weights on the search split, parameters and FLOPs: the same on every machine.

    `norm_rows` are training rows for the statistics of batch norms. `components` from outside are imported wherever
    it works.
    """

    supernet: Supernet
    supernet_hash: str
    norm_rows: Split
    search: Split
    components: tuple[str, ...] = ()

    def __call__(self, architectures: list[Architecture]) -> list[dict[str, Any]]:
        """One row for each architecture, with one thread."""
        torch.set_num_threads(1)
        load_components(self.components)
        return [self.row(architecture, self.network(architecture)) for architecture in architectures]

    def network(self, architecture: Architecture) -> Network:
        return inherited(self.supernet, architecture, self.norm_rows)

    def row(self, architecture: Architecture, network: Network) -> dict[str, Any]:
        quality = quality_of(network, self.search)
        counted = cost(architecture, self.supernet.task)
        return {
            "accuracy": quality.accuracy,
            "loss_nats": quality.loss_nats,
            "params": counted.params,
            "flops": counted.flops,
            "activations": counted.activations,
            "peak_bytes": peak_bytes(architecture, self.supernet.task),
            "supernet": self.supernet_hash,
        }


@dataclass(frozen=True)
class Evaluator:
    """All metrics of an architecture on one worker, from one network."""

    inherited: Inherited
    timing: Timing

    def __call__(self, architectures: list[Architecture]) -> list[dict[str, Any]]:
        """One row for each architecture."""
        torch.set_num_threads(1)
        load_components(self.inherited.components)
        return [self.evaluate(architecture) for architecture in architectures]

    def evaluate(self, architecture: Architecture) -> dict[str, Any]:
        network = self.inherited.network(architecture)
        return self.inherited.row(architecture, network) | self.timing.row(network)


@dataclass(frozen=True)
class Carried:
    """What a worker calls once to get its evaluator: one that travelled there."""

    evaluator: Callable[[list[Architecture]], list[dict[str, Any]]]

    def __call__(self) -> Callable[[list[Architecture]], list[dict[str, Any]]]:
        return self.evaluator


def inherited(supernet: Supernet, architecture: Architecture, norm_rows: Split) -> Network:
    """The subnet with the supernet's weights as it is deployed: batch norms calibrated on training rows, folded."""
    network = supernet.extract(architecture)
    recalibrate(network, in_order(norm_rows.leading(CALIBRATION_ROWS), BATCH_SIZE))
    fold(network, foldable(network))
    return network.eval()


def quality_of(network: nn.Module, split: Split) -> Quality:
    """Quality on every row of the split."""
    return evaluate(network, in_order(split, BATCH_SIZE))

"""The evaluator of a search: architectures in, rows of metrics out. It lives in a worker and holds all that it
needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from search_space import Architecture
from snugnet.calibration import Calibration
from snugnet.experiment import LatencySettings
from supernet.cost import cost
from supernet.data import Split, in_order
from supernet.device import Device, this_device
from supernet.evaluation import Quality, evaluate, recalibrate
from supernet.folding import fold, foldable
from supernet.foreign import load_components
from supernet.latency import LatencyMeter
from supernet.network import Network, Task
from supernet.supernet import Supernet

BATCH_SIZE = 256

CALIBRATION_ROWS = 1024
"""Training rows that give a subnet's batch norms their statistics."""


@dataclass(frozen=True)
class Evaluator:
    """Accuracy with inherited weights on the search split, measured latency, parameters and FLOPs.

    `norm_rows` are training rows for the statistics of batch norms. `calibration` is that of the run's device; a worker
    on another device calibrates itself. `components` from outside are imported wherever the evaluator works.
    """

    supernet: Supernet
    supernet_hash: str
    norm_rows: Split
    search: Split
    latency: LatencySettings
    calibration: Calibration
    components: tuple[str, ...] = ()

    def __call__(self, architectures: list[Architecture]) -> list[dict[str, Any]]:
        """One row for each architecture. Latency is timed with the device's threads, the rest with one."""
        torch.set_num_threads(1)
        load_components(self.components)
        return [self.evaluate(architecture) for architecture in architectures]

    def evaluate(self, architecture: Architecture) -> dict[str, Any]:
        network = inherited(self.supernet, architecture, self.norm_rows)
        quality = quality_of(network, self.search)
        latency = self._meter(network)
        counted = cost(architecture, self.supernet.task)
        return {
            "accuracy": quality.accuracy,
            "loss_nats": quality.loss_nats,
            "latency_ms": latency.median_ms,
            "latency_low_ms": latency.low_ms,
            "latency_high_ms": latency.high_ms,
            "latency_stable": latency.stable,
            "params": counted.params,
            "flops": counted.flops,
            "device": self._meter.device.to_json(),
            "supernet": self.supernet_hash,
        }

    @cached_property
    def _meter(self) -> LatencyMeter:
        device = device_for(self.latency, self.supernet.task)
        known, task = self.calibration, self.supernet.task
        if known.device != device:
            known = Calibration.make(device, known.references, task)
        return known.meter(task, relative_width=0.1, min_repeats=9, max_seconds=self.latency.max_seconds)


@dataclass(frozen=True)
class Carried:
    """What a worker calls once to get its evaluator: one that travelled there."""

    evaluator: Callable[[list[Architecture]], list[dict[str, Any]]]

    def __call__(self) -> Callable[[list[Architecture]], list[dict[str, Any]]]:
        return self.evaluator


def device_for(settings: LatencySettings, task: Task) -> Device:
    """This machine, as the experiment wants it used. Raises UserError where it cannot be."""
    return this_device(
        task.input_shape,
        kind=settings.kind,
        threads=settings.threads,
        dtype=settings.dtype,
        batch_size=settings.batch_size,
        backend=settings.backend,
    )


def inherited(supernet: Supernet, architecture: Architecture, norm_rows: Split) -> Network:
    """The subnet with the supernet's weights as it is deployed: batch norms calibrated on training rows, folded."""
    network = supernet.extract(architecture)
    recalibrate(network, in_order(norm_rows.leading(CALIBRATION_ROWS), BATCH_SIZE))
    fold(network, foldable(network))
    return network.eval()


def quality_of(network: nn.Module, split: Split) -> Quality:
    """Quality on every row of the split."""
    return evaluate(network, in_order(split, BATCH_SIZE))

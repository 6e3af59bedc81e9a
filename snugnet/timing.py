"""Latency on the device of the worker that measures it, under that device's calibration."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from search_space import Architecture
from snugnet.calibration import Calibration, drawn
from snugnet.experiment import LatencySettings
from supernet.device import Device, this_device
from supernet.foreign import load_components
from supernet.latency import Latency, LatencyMeter
from supernet.network import Task

CALIBRATION = "calibration"
"""Each row carries, beyond the columns of its table, the calibration of its device under this name."""


@dataclass(frozen=True)
class Timing:
    """It lives in a worker and measures there: one row for each architecture, with weights as they are drawn.

    `known` are calibrations by device id; a worker on another device makes its own, once, with the `references`.
    """

    task: Task
    settings: LatencySettings
    references: Sequence[Architecture]
    known: Mapping[str, Calibration] = field(default_factory=dict)
    components: tuple[str, ...] = ()

    relative_width = 0.1
    """Of the 95% interval that a latency is measured to."""
    min_repeats = 9

    def __call__(self, architectures: list[Architecture]) -> list[dict[str, Any]]:
        torch.set_num_threads(1)
        load_components(self.components)
        return [self.measure(architecture) for architecture in architectures]

    def measure(self, architecture: Architecture) -> dict[str, Any]:
        return self.row(drawn(architecture, self.task))

    def row(self, network: nn.Module) -> dict[str, Any]:
        """Of a network as it is deployed. Latency is timed with the device's threads."""
        with one_at_a_time():
            latency = self.meter(network)
        return timed(latency) | self.signed()

    def signed(self) -> dict[str, Any]:
        """The device that a row is of, and its calibration."""
        return {"device": self.meter.device.to_json(), CALIBRATION: json.dumps(self.calibration.to_dict())}

    @cached_property
    def meter(self) -> LatencyMeter:
        return self.calibration.meter(
            self.task,
            relative_width=self.relative_width,
            min_repeats=self.min_repeats,
            max_seconds=self.settings.max_seconds,
        )

    @cached_property
    def calibration(self) -> Calibration:
        device = device_for(self.settings, self.task)
        if device.id in self.known:
            return self.known[device.id]
        with one_at_a_time():
            return Calibration.make(device, self.references, self.task)


def timed(latency: Latency) -> dict[str, Any]:
    return {
        "latency_ms": latency.median_ms,
        "latency_low_ms": latency.low_ms,
        "latency_high_ms": latency.high_ms,
        "latency_stable": latency.stable,
    }


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


def keep_calibrations(rows: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Those that rows of finished measurements carry, for later measurements of the run on the same devices."""
    for row in rows:
        if row.get(CALIBRATION):
            Calibration.of(Device.from_json(row["device"]), json.loads(row[CALIBRATION])).keep(folder)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait until no other process of this user measures on this machine; one that dies gives way."""
    path = Path(tempfile.gettempdir()) / f"snugnet-measuring-{os.getuid()}"
    lock = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)

"""Latencies of architectures, measured to build a predictor of a device: the evaluator and its table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from search_space import Architecture
from snugnet.calibration import Calibration, drawn
from snugnet.evaluator import device_for
from snugnet.experiment import LatencySettings
from studies.schema import Column, Schema
from supernet.cost import cost
from supernet.foreign import load_components
from supernet.latency import LatencyMeter
from supernet.measurement import measure_network
from supernet.network import Task

RELATIVE_WIDTH = 0.03
"""Of the 95% interval of a latency in the table."""

CALIBRATION = "calibration"

LATENCIES = Schema(
    columns=(
        Column("device_id", "string", "content hash of the device"),
        Column("id", "string", "content hash of the architecture"),
        Column("trial", "int", "number of the measurement on its device, from 0", unit="count"),
        Column("architecture", "string", "canonical JSON of the architecture"),
        Column("latency_ms", "float", "median latency of one batch", nullable=True),
        Column("latency_low_ms", "float", "lower end of the median's 95% interval", nullable=True),
        Column("latency_high_ms", "float", "upper end of the median's 95% interval", nullable=True),
        Column("latency_stable", "bool", "whether the measurement settled", nullable=True),
        Column("wall_ms", "float", "the stopwatch's median, uncorrected", nullable=True),
        Column("drift", "float", "of the reference networks while it was measured", unit="ratio", nullable=True),
        Column("reference_ms", "float", "the reference networks' geometric mean at calibration", nullable=True),
        Column("noise_floor", "float", "of short measurements at calibration", unit="ratio", nullable=True),
        Column("clock_mhz", "float", "of the cores", unit="MHz", nullable=True),
        Column("load", "float", "processes that ran or waited for a core", unit="count", nullable=True),
        Column("throughput_per_s", "float", "inputs in a second", unit="1/s", nullable=True),
        Column("peak_memory_bytes", "int", "added by loading and running it", nullable=True),
        Column("energy_per_batch_mj", "float", "of the whole device", unit="mJ", nullable=True),
        Column("params", "int", "trainable values", unit="count", nullable=True),
        Column("forward_flops", "int", "one forward pass of one input", nullable=True),
        Column("seconds", "float", "time the measurement took", unit="s", nullable=True),
        Column("device", "string", "JSON of the device", nullable=True),
        Column("error", "string", "why there are no figures", nullable=True),
    ),
    key=("device_id", "id"),
)


@dataclass(frozen=True)
class Latencies:
    """It lives in a worker and measures there: one row for each architecture, with weights as they are drawn.

    `known` are calibrations by device id; a worker on another device makes its own, once, with the `references`. Each
    row carries it as JSON, beyond the table's columns.
    """

    task: Task
    settings: LatencySettings
    references: Sequence[Architecture]
    known: Mapping[str, Calibration] = field(default_factory=dict)
    components: tuple[str, ...] = ()

    def __call__(self, architectures: list[Architecture]) -> list[dict[str, Any]]:
        load_components(self.components)
        return [self.measure(architecture) for architecture in architectures]

    def measure(self, architecture: Architecture) -> dict[str, Any]:
        torch.set_num_threads(1)
        calibration = self.calibration
        found = measure_network(drawn(architecture, self.task), self.meter)
        latency, counted = found.latency, cost(architecture, self.task)
        return {
            "device_id": latency.device,
            "latency_ms": latency.median_ms,
            "latency_low_ms": latency.low_ms,
            "latency_high_ms": latency.high_ms,
            "latency_stable": latency.stable,
            "wall_ms": latency.wall_ms,
            "drift": latency.drift,
            "reference_ms": latency.reference_ms,
            "noise_floor": calibration.noise_floor,
            "clock_mhz": latency.clock_mhz,
            "load": latency.load,
            "throughput_per_s": found.throughput_per_s,
            "peak_memory_bytes": found.peak_memory_bytes,
            "energy_per_batch_mj": found.energy_per_batch_mj,
            "params": counted.params,
            "forward_flops": counted.flops,
            "device": self.meter.device.to_json(),
            CALIBRATION: json.dumps(calibration.to_dict()),
        }

    @cached_property
    def meter(self) -> LatencyMeter:
        return self.calibration.meter(self.task, relative_width=RELATIVE_WIDTH, max_seconds=self.settings.max_seconds)

    @cached_property
    def calibration(self) -> Calibration:
        device = device_for(self.settings, self.task)
        return self.known.get(device.id) or Calibration.make(device, self.references, self.task)

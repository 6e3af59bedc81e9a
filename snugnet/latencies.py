"""Latencies of architectures, measured to build a predictor of a device: the evaluator and its table."""

from __future__ import annotations

from typing import Any

from search_space import Architecture
from snugnet.calibration import drawn
from snugnet.timing import Timing, one_at_a_time, timed
from studies.schema import Column, Schema
from supernet.cost import cost
from supernet.measurement import measure_network

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


class Latencies(Timing):
    """Measures all that a predictor of the device may learn from, longer than a search would."""

    relative_width = 0.03
    min_repeats = 15

    def measure(self, architecture: Architecture) -> dict[str, Any]:
        calibration, counted = self.calibration, cost(architecture, self.task)
        with one_at_a_time():
            found = measure_network(drawn(architecture, self.task), self.meter)
        return {
            **timed(found.latency),
            "device_id": found.latency.device,
            "wall_ms": found.latency.wall_ms,
            "drift": found.latency.drift,
            "reference_ms": found.latency.reference_ms,
            "noise_floor": calibration.noise_floor,
            "clock_mhz": found.latency.clock_mhz,
            "load": found.latency.load,
            "throughput_per_s": found.throughput_per_s,
            "peak_memory_bytes": found.peak_memory_bytes,
            "energy_per_batch_mj": found.energy_per_batch_mj,
            "params": counted.params,
            "forward_flops": counted.flops,
            **self.signed(),
        }

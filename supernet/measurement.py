"""Everything that is measured of one network on one device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from supernet.backends import load
from supernet.energy import energy
from supernet.latency import Latency, LatencyMeter
from supernet.memory import peak_memory


@dataclass(frozen=True)
class Measurement:
    """`throughput_per_s` counts inputs, at the device's batch size. `peak_memory_bytes` and `energy_per_batch_mj` are
    None where the machine does not tell; `sources` says where they came from, or why they did not.
    """

    latency: Latency
    throughput_per_s: float
    peak_memory_bytes: int | None
    energy_per_batch_mj: float | None
    sources: tuple[str, str]


def measure_network(model: nn.Module | Path, meter: LatencyMeter) -> Measurement:
    """Of a module (batch, channels, *spatial) -> tensor, or of an ONNX file. Raises UserError as the meter does."""
    device = meter.device
    latency = meter(model)
    with torch.inference_mode():
        peak, counted = peak_memory(lambda: load(model, device), device.kind)
        spent = energy(load(model, device), device.kind)
    throughput = 1000 * device.batch_size / latency.median_ms
    return Measurement(latency, throughput, peak, spent.per_batch_mj, (counted, spent.source))

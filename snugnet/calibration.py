"""Calibrations of a run: for each device the time of the meter's reference network, kept in DIR/devices.

The reference is an architecture of the run's own space, in the middle of its FLOPs: what slows the machine slows it
as much as those that are measured.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from search_space import Architecture, SearchSpace, UserError
from snugnet.strata import stratified
from supernet.checkpoint import write_atomically
from supernet.device import Device
from supernet.folding import fold, foldable
from supernet.latency import LatencyMeter
from supernet.network import Network, Task


@dataclass(frozen=True)
class Calibration:
    """Latencies in ms are relative to `reference_ms`, the time of the reference. `noise_floor` is the relative standard
    deviation of short measurements, None where it is not known.
    """

    device: Device
    reference: Architecture
    reference_ms: float
    noise_floor: float | None

    @classmethod
    def make(cls, device: Device, reference: Architecture, task: Task) -> Calibration:
        """Of this machine, which takes a second."""
        meter = LatencyMeter(device, reference=drawn(reference, task))
        return cls(device, reference, meter.reference_ms, meter.noise_floor)

    def meter(self, task: Task, **options: Any) -> LatencyMeter:
        """A meter under this calibration, with further options of `LatencyMeter`."""
        return LatencyMeter(
            self.device, reference=drawn(self.reference, task), reference_ms=self.reference_ms, **options
        )

    def keep(self, folder: Path) -> None:
        """As `DIR/devices/ID.json`, unless the device has one there, which holds for all its latencies."""
        path = folder / "devices" / f"{self.device.id}.json"
        if not path.exists():
            known = {"reference_ms": self.reference_ms, "noise_floor": self.noise_floor}
            given = {"device": asdict(self.device), "reference": self.reference.to_dict(), **known}
            write_atomically(path, json.dumps(given).encode())


def typical(space: SearchSpace, task: Task) -> Architecture:
    """The reference of a space."""
    return stratified(space, task, 0, 1)[0]


def drawn(architecture: Architecture, task: Task) -> Network:
    """The network as it is deployed, with the weights that a fixed seed draws: they play no part in a latency."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Network(architecture, task)
    fold(network, foldable(network))
    return network.eval()


def read_calibrations(folder: Path) -> dict[str, Calibration]:
    """Those of a run's folder, by device id. Raises UserError for a file that is none."""
    return {path.stem: _read(path) for path in sorted((folder / "devices").glob("*.json"))}


def _read(path: Path) -> Calibration:
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        device = Device.from_json(json.dumps(stored["device"]))
        noise = stored["noise_floor"]
        reference = Architecture.from_dict(stored["reference"])
        return Calibration(device, reference, float(stored["reference_ms"]), None if noise is None else float(noise))
    except (OSError, ValueError, KeyError, TypeError, UserError):
        raise UserError(f"{path} is not a calibration; remove it to calibrate the device again") from None

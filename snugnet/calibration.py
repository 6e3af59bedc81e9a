"""Calibrations of a run: for each device the times of the meter's reference networks, kept in DIR/devices.

The references are architectures of the run's own space, spread over its FLOPs: what slows the machine slows them as
much as those that are measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
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

NUM_REFERENCES = 5


@dataclass(frozen=True)
class Calibration:
    """Latencies in ms are relative to `reference_ms`, the times of the references. `noise_floor` is the relative
    standard deviation of short measurements, None where it is not known.
    """

    device: Device
    references: tuple[Architecture, ...]
    reference_ms: tuple[float, ...]
    noise_floor: float | None

    @classmethod
    def make(cls, device: Device, references: Sequence[Architecture], task: Task) -> Calibration:
        """Of this machine, which takes seconds."""
        meter = LatencyMeter(device, references=[drawn(reference, task) for reference in references])
        return cls(device, tuple(references), meter.reference_ms, meter.noise_floor)

    @classmethod
    def of(cls, device: Device, stored: Mapping[str, Any]) -> Calibration:
        """From what `to_dict` gives. Raises UserError where it is none."""
        try:
            references = tuple(Architecture.from_dict(reference["architecture"]) for reference in stored["references"])
            times = tuple(float(reference["ms"]) for reference in stored["references"])
            noise = None if stored["noise_floor"] is None else float(stored["noise_floor"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"not a calibration: {error!r}") from None
        if not times or not all(0 < ms < math.inf for ms in times):
            raise UserError(f"not a calibration: times {times}")
        return cls(device, references, times, noise)

    def to_dict(self) -> dict[str, Any]:
        """All but the device."""
        known = zip(self.references, self.reference_ms, strict=True)
        references = [{"architecture": architecture.to_dict(), "ms": ms} for architecture, ms in known]
        return {"references": references, "noise_floor": self.noise_floor}

    def meter(self, task: Task, **options: Any) -> LatencyMeter:
        """A meter under this calibration, with further options of `LatencyMeter`."""
        networks = [drawn(reference, task) for reference in self.references]
        return LatencyMeter(self.device, references=networks, reference_ms=self.reference_ms, **options)

    def keep(self, folder: Path) -> None:
        """As `DIR/devices/ID.json`, unless the device has one there, which holds for all its latencies."""
        path = folder / "devices" / f"{self.device.id}.json"
        if not path.exists():
            write_atomically(path, json.dumps({"device": asdict(self.device), **self.to_dict()}).encode())


def typical(space: SearchSpace, task: Task) -> list[Architecture]:
    """The references of a space."""
    return stratified(space, task, 0, NUM_REFERENCES)


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
        return Calibration.of(Device.from_json(json.dumps(stored["device"])), stored)
    except (OSError, ValueError, KeyError, TypeError, UserError):
        raise UserError(f"{path} is not a calibration; remove it to calibrate the device again") from None

"""Calibrations of a run: for each device the time of the meter's reference network, kept in DIR/devices."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search_space import UserError
from supernet.checkpoint import write_atomically
from supernet.device import Device


@dataclass(frozen=True)
class Calibration:
    """Latencies in ms are relative to `reference_ms`. `noise_floor` is the relative standard deviation of short
    measurements, None where it is not known.
    """

    device: Device
    reference_ms: float
    noise_floor: float | None

    def keep(self, folder: Path) -> None:
        """As `DIR/devices/ID.json`, unless the device has one there, which holds for all its latencies."""
        path = folder / "devices" / f"{self.device.id}.json"
        if not path.exists():
            known = {"reference_ms": self.reference_ms, "noise_floor": self.noise_floor}
            write_atomically(path, json.dumps({"device": asdict(self.device), **known}).encode())


def read_calibrations(folder: Path) -> dict[str, Calibration]:
    """Those of a run's folder, by device id. Raises UserError for a file that is none."""
    return {path.stem: _read(path) for path in sorted((folder / "devices").glob("*.json"))}


def _read(path: Path) -> Calibration:
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        device = Device.from_json(json.dumps(stored["device"]))
        noise = stored["noise_floor"]
        return Calibration(device, float(stored["reference_ms"]), None if noise is None else float(noise))
    except (OSError, ValueError, KeyError, TypeError, UserError):
        raise UserError(f"{path} is not a calibration; remove it to calibrate the device again") from None

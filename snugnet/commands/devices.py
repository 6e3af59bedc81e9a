"""`snugnet devices`: which devices a run's latencies belong to, and how well each can be measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search_space import UserError
from snugnet.calibration import Calibration, read_calibrations
from snugnet.run import Run
from supernet.device import Device


@dataclass(frozen=True)
class Known:
    """A device, and how many of the run's architectures were measured on it: for their table, and in trials."""

    calibration: Calibration
    num_measured: int
    num_trials: int

    def as_dict(self) -> dict[str, Any]:
        counts = {"num_measured": self.num_measured, "num_trials": self.num_trials}
        device = self.calibration.device
        return {"id": device.id, "device": asdict(device), **self.calibration.to_dict(), **counts}


@dataclass(frozen=True)
class Devices:
    """Those of a run, the most measured first."""

    folder: Path
    known: list[Known]

    def as_dict(self) -> dict[str, Any]:
        return {"run": str(self.folder), "devices": [each.as_dict() for each in self.known]}

    def text(self) -> str:
        lines = [f"{'id':<18}{'measured':>9}{'trials':>8}{'noise':>8}  device"]
        for each in self.known:
            device, floor = each.calibration.device, each.calibration.noise_floor
            noise, shown = "-" if floor is None else f"{floor:.1%}", f"{device.vendor} {device.describe()}"
            lines.append(f"{device.id:<18}{each.num_measured:>9}{each.num_trials:>8}{noise:>8}  {shown}")
        return "\n".join(lines)


def devices(run: Path) -> Devices:
    """Raises UserError where the folder is no run, or nothing was measured in it."""
    opened = Run.open(Path(run))
    known = known_devices(opened)
    if not known:
        raise UserError(f"{run} has no latencies; run: snugnet measure {run} --architectures 50")
    return Devices(opened.folder, known)


def known_devices(run: Run) -> list[Known]:
    """Raises UserError where a table is damaged, or a device with latencies has lost its calibration."""
    trials = Counter(Device.from_json(row["device"]).id for row in run.trials.rows() if row["device"])
    counts = Counter(row["device_id"] for row in run.latencies.rows() if not row["error"])
    calibrations = read_calibrations(run.folder)
    for lost in counts.keys() - calibrations.keys():
        raise UserError(
            f"{run.folder}/devices/{lost}.json is missing, the calibration of {counts[lost]} latencies; restore it, or "
            f"calibrate anew: snugnet measure {run.folder} --architectures {counts[lost] + 1}"
        )
    order = sorted(calibrations, key=lambda id: (-counts[id], -trials[id], id))
    return [Known(calibrations[id], counts[id], trials[id]) for id in order]

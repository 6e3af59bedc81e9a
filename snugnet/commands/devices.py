"""`snugnet devices`: which devices a run's latencies belong to, and how well each can be measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_space import UserError
from snugnet.latencies import LATENCIES
from snugnet.run import Run
from studies.table import Table
from supernet.device import Device


@dataclass(frozen=True)
class Known:
    """A device, and how many of the run's architectures were measured on it: for their table, and in trials."""

    device: Device
    num_measured: int
    num_trials: int
    reference_ms: float | None
    noise_floor: float | None


@dataclass(frozen=True)
class Devices:
    """Those of a run, the most measured first."""

    folder: Path
    known: list[Known]

    def as_dict(self) -> dict[str, Any]:
        devices = [{**vars(each), "device": {**vars(each.device), "id": each.device.id}} for each in self.known]
        return {"run": str(self.folder), "devices": devices}

    def text(self) -> str:
        lines = [f"{'id':<18}{'measured':>9}{'trials':>8}{'noise':>8}  device"]
        for each in self.known:
            noise = "-" if each.noise_floor is None else f"{each.noise_floor:.1%}"
            shown = f"{each.device.vendor} {each.device.describe()}"
            lines.append(f"{each.device.id:<18}{each.num_measured:>9}{each.num_trials:>8}{noise:>8}  {shown}")
        return "\n".join(lines)


def devices(run: Path) -> Devices:
    """Raises UserError where the folder is no run, or nothing was measured in it."""
    opened = Run.open(Path(run))
    measured = Table(opened.folder / "latencies", LATENCIES).rows()
    latest = {row["device"]: row for row in measured if row["device"]}
    trials = Counter(row["device"] for row in opened.trials.rows() if row["device"])
    counts = Counter(row["device"] for row in measured)
    known = []
    for text in sorted({*latest, *trials}, key=lambda text: (-counts[text], -trials[text], text)):
        row = latest.get(text, {})
        figures = row.get("reference_ms"), row.get("noise_floor")
        known.append(Known(Device.from_json(text), counts[text], trials[text], *figures))
    if not known:
        raise UserError(f"{run} has no latencies; run: snugnet measure {run} --architectures 50")
    return Devices(opened.folder, known)

"""`snugnet measure`: how fast a subnet is on this device."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search.cluster import LOCAL
from search_space import UserError
from snugnet.calibration import Calibration, drawn
from snugnet.commands.measure_run import MeasuredSpace, measure_run
from snugnet.experiment import LatencySettings
from snugnet.progress import say
from snugnet.run import EXPERIMENT
from snugnet.subnet import CARD, ONNX, check_file, load_subnet, read_card, read_task
from snugnet.timing import device_for
from supernet.device import Device
from supernet.latency import LatencyMeter
from supernet.measurement import Measurement, measure_network
from supernet.network import Network

MAX_SECONDS = 10.0
"""For a subnet, of its timings."""


@dataclass(frozen=True)
class Measured:
    """What was measured of a subnet, and the device it belongs to."""

    subnet: Path
    id: str
    found: Measurement
    device: Device

    def as_dict(self) -> dict[str, Any]:
        return {
            "subnet": str(self.subnet),
            "id": self.id,
            **asdict(self.found),
            "device": asdict(self.device),
        }

    def text(self) -> str:
        found, latency, device = self.found, self.found.latency, self.device
        interval = f"95% interval {latency.low_ms:.3f} to {latency.high_ms:.3f} ({latency.repeats} timings)"
        lines = [f"{self.id}: {latency.median_ms:.3f} ms, {interval}", f"on {device.describe()}"]
        memory, energy = found.sources
        if found.peak_memory_bytes is not None:
            memory = f"peak memory {found.peak_memory_bytes / 2**20:.1f} MiB ({memory})"
        if found.energy_per_batch_mj is not None:
            energy = f"{found.energy_per_batch_mj:.3g} mJ a batch ({energy})"
        lines.append(f"{found.throughput_per_s:,.0f} inputs/s; {memory}; {energy}")
        clock = "" if latency.clock_mhz is None else f", clock {latency.clock_mhz:,.0f} MHz"
        load = "" if latency.load is None else f", load {latency.load:.1f}"
        lines.append(f"drift of the reference networks {latency.drift:.3f}{clock}{load}")
        if not latency.stable:
            lines.append(f"NOT STABLE: {latency.reason}")
        return "\n".join(lines)


def measure(
    folder: Path,
    device_options: Mapping[str, Any] | None = None,
    *,
    architectures: int | None = None,
    parts: bool = False,
    address: str = LOCAL,
    on: str | None = None,
    components: Sequence[str] = (),
) -> Measured | MeasuredSpace:
    """Measure a subnet; or of a run's space so many architectures, or its parts (`measure_run`).

    `device_options` are those of `[search.latency]`. `components` from outside snugnet are imported as in
    `load_subnet`. Raises UserError where the folder is not what it has to be.
    """
    folder = Path(folder)
    if architectures is not None or parts:
        if components:
            raise UserError("--component goes with a subnet; a run names its components in its experiment")
        return measure_run(
            folder, architectures=architectures or 0, parts=parts, device_options=device_options, address=address, on=on
        )
    if (folder / EXPERIMENT).exists() and not (folder / CARD).exists():
        raise UserError(f"{folder} is a run; give --architectures K to measure K of its architectures, or --parts")
    if address != LOCAL or on is not None:
        raise UserError("--address and --on go with --architectures or --parts; a subnet is measured on this machine")
    settings = LatencySettings(**{"max_seconds": MAX_SECONDS, **(device_options or {})})
    return measure_subnet(folder, settings, components)


def measure_subnet(folder: Path, settings: LatencySettings, components: Sequence[str]) -> Measured:
    """Under the card's calibration where the device is the card's. Raises UserError where it is not a whole subnet."""
    card = read_card(folder)
    task = read_task(card, folder)
    device = device_for(settings, task)
    model = check_file(folder, ONNX, card) if device.backend == "onnxruntime" else load_subnet(folder, components)
    networks, times = list[Network](), None
    try:
        known = Calibration.of(device, card.get("calibration", {}))
        networks = [drawn(reference, task) for reference in known.references]
        times = known.reference_ms if card["device"] == json.loads(device.to_json()) else None
    except UserError:
        say("the card names no reference networks that can be built here; calibrating with another one")
    meter = LatencyMeter(
        device, relative_width=0.03, max_seconds=settings.max_seconds, references=networks, reference_ms=times
    )
    return Measured(folder, str(card["id"]), measure_network(model, meter), device)

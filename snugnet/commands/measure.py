"""`snugnet measure`: how fast a subnet is on this device."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from snugnet.subnet import ONNX, check_file, load_subnet, read_card, read_task
from supernet.device import Device, this_device
from supernet.latency import Latency, LatencyMeter


@dataclass(frozen=True)
class Measured:
    """A subnet's latency and the device it belongs to."""

    subnet: Path
    id: str
    latency: Latency
    device: Device

    def as_dict(self) -> dict[str, Any]:
        return {
            "subnet": str(self.subnet),
            "id": self.id,
            "latency": asdict(self.latency),
            "device": asdict(self.device),
        }

    def text(self) -> str:
        latency, device = self.latency, self.device
        interval = f"95% interval {latency.low_ms:.3f} to {latency.high_ms:.3f} ({latency.repeats} timings)"
        lines = [f"{self.id}: {latency.median_ms:.3f} ms, {interval}"]
        lines.append(
            f"on {device.name}, {device.threads} thread(s), batch {device.batch_size}, {device.dtype}, {device.backend}"
        )
        if not latency.stable:
            lines.append(f"NOT STABLE: {latency.reason}")
        return "\n".join(lines)


def measure(
    subnet: Path,
    *,
    backend: str = "eager",
    threads: int = 1,
    batch_size: int = 1,
    seconds: float = 10.0,
    components: Sequence[str] = (),
) -> Measured:
    """Time a subnet for at most about `seconds`, under the card's calibration where the device is the card's.

    `components` from outside snugnet are imported as in `load_subnet`. Raises UserError where the folder is not a whole
    subnet.
    """
    folder = Path(subnet)
    card = read_card(folder)
    device = this_device(read_task(card, folder).input_shape, threads=threads, batch_size=batch_size, backend=backend)
    model = check_file(folder, ONNX, card) if backend == "onnxruntime" else load_subnet(folder, components)
    known = card["measured"]["latency_ms"]["reference_ms"] if card["device"] == json.loads(device.to_json()) else None
    meter = LatencyMeter(device, relative_width=0.03, max_seconds=seconds, reference_ms=known)
    return Measured(folder, str(card["id"]), meter(model), device)

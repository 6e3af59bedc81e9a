"""Energy from the machine's own counters: RAPL for a processor, NVML for a GPU. Where there is none, that is said."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from supernet.timers import Call

RAPL = Path("/sys/class/powercap")

SECONDS = 2.0
"""How long a network runs for one reading: counters move in steps of up to 100 ms."""


@dataclass(frozen=True)
class Energy:
    """`per_batch_mj` is in millijoules, of the whole processor or GPU while it ran nothing else that we know of.

    None where no counter could be read, and `source` says why; else it names the counter.
    """

    per_batch_mj: float | None
    source: str


def energy(call: Call, kind: str, seconds: float = SECONDS) -> Energy:
    """What a call takes on a device of this kind, mean over as many as fit into the time."""
    read, source = counter(kind)
    if read is None:
        return Energy(None, source)
    call()
    calls, start, before = 0, time.perf_counter(), read()
    while time.perf_counter() - start < seconds:
        call()
        calls += 1
    return Energy(1000 * (read() - before) / calls, source)


def counter(kind: str) -> tuple[Callable[[], float] | None, str]:
    """A function that gives the joules counted so far, and the counter's name; None, and the reason, without one."""
    return nvml() if kind == "cuda" else rapl()


def rapl(root: Path = RAPL) -> tuple[Callable[[], float] | None, str]:
    """The packages of the processor: `intel-rapl:0` and so on, which AMD's have too (Linux, powercap)."""
    zones = sorted(root.glob("intel-rapl:[0-9]"))
    if not zones:
        return None, "no energy: this machine has no RAPL counter"
    try:
        ranges = {zone: int((zone / "max_energy_range_uj").read_text()) for zone in zones}
        last = {zone: int((zone / "energy_uj").read_text()) for zone in zones}
    except OSError as error:
        return None, f"no energy: the RAPL counter cannot be read ({error.strerror}); it may need root"
    counted = dict.fromkeys(zones, 0)

    def joules() -> float:
        for zone in zones:
            now = int((zone / "energy_uj").read_text())
            counted[zone] += (now - last[zone]) % (ranges[zone] + 1)  # it begins again at 0
            last[zone] = now
        return sum(counted.values()) / 1e6

    return joules, "RAPL"


def nvml() -> tuple[Callable[[], float] | None, str]:
    """The current CUDA GPU, through the package nvidia-ml-py where it is installed."""
    try:
        import pynvml
        import torch
    except ImportError:
        return None, "no energy: NVML needs the package nvidia-ml-py"
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties().uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError as error:
        return None, f"no energy: NVML says {error}"

    def joules() -> float:
        torch.cuda.synchronize()
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3

    return joules, "NVML"

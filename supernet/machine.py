"""What the system says of the machine: processor, memory, clock and load. What it does not say is None, or empty."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from search_space import UserError

GIB = 2**30


@dataclass(frozen=True)
class Hardware:
    """A processor or GPU: its vendor and model, its cores or multiprocessors, and its memory."""

    vendor: str
    name: str
    cores: int
    memory_gib: int


def processor(root: Path = Path("/")) -> Hardware:
    """This machine's processor, its cores and memory as far as this process may use them.

    `root` holds `proc` and `sys`. Boards that name no processor model are known by the board's.
    """
    cpuinfo = _read(root / "proc/cpuinfo")
    board = _read(root / "proc/device-tree/model").rstrip("\0\n")
    vendor = _field(cpuinfo, "vendor_id") or _field(cpuinfo, "CPU implementer") or platform.machine()
    name = _field(cpuinfo, "model name") or board or platform.processor() or platform.machine()
    return Hardware(vendor, name, available_cores(), round(memory_bytes(root) / GIB))


def gpu() -> Hardware:
    """The current CUDA GPU."""
    found = torch.cuda.get_device_properties(torch.cuda.current_device())
    vendor = "AMD" if torch.version.hip else "NVIDIA"
    return Hardware(vendor, found.name, found.multi_processor_count, round(found.total_memory / GIB))


def available_cores() -> int:
    """Cores this process may run on, which a container or an affinity mask can make fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(threads: int | None) -> None:
    """Have PyTorch use so many of the CPU, or go on with its default. Raises UserError where there are fewer cores."""
    if threads is None:
        return
    if threads > available_cores():
        raise UserError(
            f"supernet.threads={threads} but this process may use {available_cores()} cores; ask for no more"
        )
    torch.set_num_threads(threads)


def memory_bytes(root: Path = Path("/")) -> int:
    """The machine's memory, or the container's limit where that is lower."""
    limit = _read(root / "sys/fs/cgroup/memory.max").strip()
    total = re.search(r"MemTotal:\s+(\d+) kB", _read(root / "proc/meminfo"))
    machine = 1024 * int(total[1]) if total else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(machine, int(limit)) if limit.isdigit() else machine


def clock_mhz(root: Path = Path("/")) -> float | None:
    """The mean present clock of the cores this process may run on."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    texts = [_read(root / f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq") for core in cores]
    clocks = [int(text) / 1000 for text in texts if text.strip().isdigit()]
    if not clocks:
        clocks = [
            float(each) for each in re.findall(r"^cpu MHz\s*: ([\d.]+)", _read(root / "proc/cpuinfo"), re.MULTILINE)
        ]
    return sum(clocks) / len(clocks) if clocks else None


def load() -> float | None:
    """Processes that ran or waited for a core, mean over the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _field(cpuinfo: str, name: str) -> str:
    found = re.search(rf"^{re.escape(name)}\s*: (.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else ""

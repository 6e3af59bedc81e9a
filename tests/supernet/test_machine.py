"""What a system says of itself, from made-up /proc and /sys folders and from this one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supernet.machine import GIB, clock_mhz, load, memory_bytes, processor

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Gold 6240 CPU @ 2.60GHz
cpu MHz\t\t: 2000.500

processor\t: 1
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Gold 6240 CPU @ 2.60GHz
cpu MHz\t\t: 3000.500
"""
BOARD = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n"


def system(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_processor_is_known_by_its_model(tmp_path: Path) -> None:
    root = system(tmp_path, {"proc/cpuinfo": X86, "proc/meminfo": f"MemTotal:       {64 * 2**20} kB\n"})
    found = processor(root)
    assert (found.vendor, found.name) == ("GenuineIntel", "Intel(R) Xeon(R) Gold 6240 CPU @ 2.60GHz")
    assert found.memory_gib == 64


def test_a_board_without_a_processor_model_is_known_by_its_own(tmp_path: Path) -> None:
    model = "Raspberry Pi 4 Model B Rev 1.4\0"
    found = processor(system(tmp_path, {"proc/cpuinfo": BOARD, "proc/device-tree/model": model}))
    assert (found.vendor, found.name) == ("0x41", "Raspberry Pi 4 Model B Rev 1.4")


@pytest.mark.parametrize(("limit", "gib"), [("max", 64), (str(8 * GIB), 8), (str(100 * GIB), 64)])
def test_a_container_has_no_more_memory_than_its_limit(tmp_path: Path, limit: str, gib: int) -> None:
    files = {"proc/meminfo": f"MemTotal:       {64 * 2**20} kB\n", "sys/fs/cgroup/memory.max": f"{limit}\n"}
    assert memory_bytes(system(tmp_path, files)) == gib * GIB


def test_the_clock_is_that_of_the_cores_this_process_may_use(tmp_path: Path) -> None:
    assert clock_mhz(system(tmp_path, {"proc/cpuinfo": X86})) == 2500.5
    cores = sorted(os.sched_getaffinity(0))
    every = {f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq": "1800000\n" for core in cores}
    other = {f"sys/devices/system/cpu/cpu{cores[-1] + 1}/cpufreq/scaling_cur_freq": "9000000\n"}
    assert clock_mhz(system(tmp_path, every | other)) == 1800


def test_what_is_not_said_is_none(tmp_path: Path) -> None:
    assert clock_mhz(tmp_path) is None
    assert processor(tmp_path).name


def test_this_machine_says_something() -> None:
    here = processor()
    assert here.name
    assert here.vendor
    assert here.cores >= 1
    assert here.memory_gib >= 1
    assert load() is not None

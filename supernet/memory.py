"""Peak memory of a network: what loading and running it adds to the process, or to the GPU."""

from __future__ import annotations

import ctypes
import gc
import mmap
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from supernet.timers import Call

MIB, PAGE, DONTNEED = 2**20, mmap.PAGESIZE, 4
HELD_MIB = 256

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_memory(loading: Callable[[], Call], kind: str) -> tuple[int | None, str]:
    """Bytes, and how they were counted; None, and the reason, where they cannot be.

    `loading` makes the network ready to run. On a CPU it is the growth of the resident memory to its highest (Linux);
    memory that the process had free before is given back first. On a GPU it is the growth of PyTorch's allocations.
    """
    loading()()  # what libraries set up at their first use is not the network's
    gc.collect()
    if kind == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        loading()()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before, "CUDA allocations"
    try:
        return _growth(loading), "resident memory"
    except OSError:
        return None, "no peak memory: this system does not let it be reset"


def _growth(loading: Callable[[], Call]) -> int:
    with suppress(OSError, AttributeError):
        _give_back()  # else the network would live in what was freed before
    CLEAR.write_text("5")  # the highest resident memory begins again at the present one (proc(5))
    before = _resident("VmRSS")
    loading()()
    return max(_resident("VmHWM") - before, 0)


def _give_back() -> None:
    """Free memory back to the system (glibc). `malloc_trim` leaves the end of every heap but the first, and a failed
    allocation moves its thread to another heap for good: so take what is free there and drop its pages.
    """
    libc = ctypes.CDLL("libc.so.6")
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.malloc_trim(0)
    held = [address for address in (libc.malloc(MIB) for _ in range(HELD_MIB)) if address]
    for address in held:
        libc.madvise(-(-address // PAGE) * PAGE, MIB - PAGE, DONTNEED)
    for address in held:
        libc.free(address)


def _resident(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", STATUS.read_text())
    if not found:
        raise OSError(f"{STATUS} has no {field}")
    return 1024 * int(found[1])

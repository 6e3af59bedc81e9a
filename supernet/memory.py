"""Peak memory of a network: what loading and running it adds to the process, or to the GPU."""

from __future__ import annotations

import ctypes
import gc
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from supernet.timers import Call

READINGS = 3
"""The largest counts: what the process gives back meanwhile, such as a library's pages, makes a reading too small."""

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
        return max(_growth(loading) for _ in range(READINGS)), "resident memory"
    except OSError:
        return None, "no peak memory: this system does not let it be reset"


def _growth(loading: Callable[[], Call]) -> int:
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # else the network would live in what was freed before
    CLEAR.write_text("5")  # the highest resident memory begins again at the present one (proc(5))
    before = _resident("VmRSS")
    loading()()
    return max(_resident("VmHWM") - before, 0)


def _resident(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", STATUS.read_text())
    if not found:
        raise OSError(f"{STATUS} has no {field}")
    return 1024 * int(found[1])

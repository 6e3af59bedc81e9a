"""Peak memory: what a network adds, and not what the process had before."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from supernet.memory import CLEAR, peak_memory
from supernet.timers import Call

MIB = 2**20

pytestmark = pytest.mark.skipif(not CLEAR.exists(), reason="the highest resident memory is reset on Linux only")


def using(mib: int) -> Call:
    return lambda: torch.ones(mib * MIB // 4).sum()


@pytest.mark.parametrize("mib", [32, 128])
def test_counts_what_a_call_holds_at_once(mib: int) -> None:
    found, counted = peak_memory(lambda: using(mib), "cpu")
    assert counted == "resident memory"
    assert found is not None
    assert mib - 2 <= found / MIB <= mib + 16


def test_counts_what_loading_keeps() -> None:
    def loading() -> Call:
        weights = torch.ones(64 * MIB // 4)
        return lambda: weights.sum()

    found, _ = peak_memory(loading, "cpu")
    assert found is not None
    assert 62 <= found / MIB <= 80


def test_memory_that_was_freed_before_does_not_hide_it() -> None:
    many = [torch.ones(MIB // 16) for _ in range(256)]  # 64 MiB in blocks that stay with the allocator
    del many
    found, _ = peak_memory(lambda: lambda: [torch.ones(MIB // 16) for _ in range(256)], "cpu")
    assert found is not None
    assert found / MIB >= 60


def test_a_failed_allocation_does_not_hide_it() -> None:
    """It moves the thread to the heap of one that has ended; its end stays with the allocator once large blocks were
    freed.
    """
    script = """
import threading
import torch
from supernet.memory import peak_memory
def using(mib):
    return lambda: lambda: torch.ones(mib * 2**18).sum()
torch.ones(31 * 2**18)
thread = threading.Thread(target=using(1)())
thread.start()
thread.join()
try:
    torch.empty(10**14)
except RuntimeError:
    print(*(peak_memory(using(mib), "cpu")[0] / 2**20 for mib in (20, 30, 25, 20)))
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert [float(mib) for mib in found.split()] == pytest.approx([20, 30, 25, 20], abs=2)

"""The front door opens fast and keeps its shape."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

COMMANDS = [
    "describe",
    "train",
    "grow",
    "audit",
    "search",
    "transform",
    "front",
    "extract",
    "finish",
    "measure",
    "report",
    "study",
]


def test_help_is_quick_and_lists_the_commands() -> None:
    """Under 0.5 s of CPU time, the least of three: no heavy library is imported before a command runs."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-m", "snugnet", "--help"], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.5
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("module", ["snugnet", "search_space"])
def test_importing_brings_in_nothing_heavy(module: str) -> None:
    heavy = ["numpy", "torch", "ray", "optuna", "sklearn", "pyarrow", "scipy", "matplotlib", "pydantic", "onnx"]
    code = f"import {module}, sys; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_defect_keeps_its_traceback_and_gives_status_1() -> None:
    code = "import snugnet.cli as c, snugnet.__main__ as m; c.answer = None; m.sys.argv = ['x', 'catalogue']; m.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr

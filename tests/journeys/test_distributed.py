"""`snugnet train --workers 2`: a worker that is killed, a signal, and a run that goes on with another number."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snugnet.commands.train import train
from supernet.checkpoint import load_tensors
from tests.journey import DIGITS, run_cli
from tests.snugnet.test_logs import logged

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("distributed")]


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("distributed") / "tiny.toml"
    path.write_text(DIGITS.replace("epochs = 2", "epochs = 10"))
    return path


@pytest.fixture(scope="module")
def alone(experiment: Path) -> Path:
    """The run of a single process."""
    folder = experiment.parent / "alone"
    train(experiment, folder)
    return folder


def started(experiment: Path, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "snugnet", "train", str(experiment), "--run", str(folder), "--workers", "2"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def reaches(process: subprocess.Popen[str], step: int) -> None:
    """Wait for a line of progress at or after the step."""
    assert process.stderr is not None
    for line in process.stderr:
        found = re.match(r"training: (\d+)/", line)
        if found and int(found[1]) >= step:
            return
    raise AssertionError(f"the process ended with status {process.wait()} before step {step}")


def descendants(pid: int) -> dict[int, str]:
    """Names of the living processes that a process and its children have started, by their id."""
    found: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            name = (folder / "cmdline").read_bytes().partition(b"\0")[0].decode()
        except OSError:
            continue
        if parent == pid:
            found |= {int(folder.name): name, **descendants(int(folder.name))}
    return found


def assert_close(found: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    """The same steps, and the same losses as far as floating point allows."""
    assert [row["step"] for row in found] == [row["step"] for row in expected]
    np.testing.assert_allclose([row["loss_nats"] for row in found], [row["loss_nats"] for row in expected], rtol=1e-3)


@pytest.mark.thorough
def test_a_killed_worker_is_replaced_and_the_run_ends_as_if_nothing_had_happened(
    experiment: Path, alone: Path, tmp_path: Path
) -> None:
    """Same steps, every row once, and the losses of a single process."""
    process = started(experiment, tmp_path / "run")
    reaches(process, 40)
    victim = next(pid for pid, name in descendants(process.pid).items() if "RayTrainWorker" in name)
    os.kill(victim, signal.SIGKILL)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert re.search(r"workers were lost or joined; 2 go on from step \d*[05]\n", err)
    (weights, found), (expected_weights, expected) = (
        load_tensors(folder / "supernet.safetensors") for folder in (tmp_path / "run", alone)
    )
    assert found["step"] == found["num_steps"] == expected["step"]
    assert logged(tmp_path / "run") == found["history"]
    assert_close(found["history"], expected["history"])
    for name, weight in expected_weights.items():
        np.testing.assert_allclose(weights[name], weight, atol=1e-3)


@pytest.mark.thorough
def test_a_signal_ends_the_step_and_another_number_of_workers_goes_on(
    experiment: Path, alone: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    process = started(experiment, folder)
    reaches(process, 20)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 1
    stopped = re.search(rf"interrupted at step (\d+) of 190, .* snugnet train {experiment} --run {folder}", err)
    assert stopped and load_tensors(folder / "supernet.safetensors")[1]["step"] == int(stopped[1]) < 190
    train(experiment, folder, resume=True)
    found, expected = (load_tensors(path / "supernet.safetensors")[1]["history"] for path in (folder, alone))
    assert_close(found, expected)
    assert logged(folder) == found


def test_what_cannot_be_trained_by_many_is_refused_before_ray_starts(experiment: Path, tmp_path: Path) -> None:
    arguments = ("train", str(experiment), "--run", str(tmp_path / "run"), "--workers", "65")
    status, _, err = run_cli(*arguments)
    assert status == 2 and "make it at least 65" in err
    status, _, err = run_cli(*arguments[:-1], "2", "--address", "ray://head:10001")
    assert status == 2 and "give host:port or auto" in err

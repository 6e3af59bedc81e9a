"""A running cluster of three machines, guarded by a token, that have what snugnet depends on but not snugnet."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from search.scratch import scratch_folder
from snugnet.run import Run
from tests.journey import trained_run

pytestmark = [pytest.mark.slow, pytest.mark.thorough, pytest.mark.xdist_group("cluster")]

Environment = dict[str, str]


class Cluster(NamedTuple):
    """`host:port`, and the address for machines that are no part of it."""

    address: str
    client: str


def call(environment: Environment, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def guarded() -> Environment:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**plain, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}


@pytest.fixture(scope="module")
def cluster(guarded: Environment) -> Iterator[Cluster]:
    """One machine has the resource "phone", another is "plain"."""
    python = str(Path(sys.base_prefix) / "bin" / "python3")
    environment = {**guarded, "PYTHONPATH": sysconfig.get_path("purelib")}
    found = subprocess.run([python, "-c", "import snugnet"], env=environment, cwd="/", capture_output=True, text=True)
    assert "No module named 'snugnet'" in found.stderr
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        port, client_port = (str(free.getsockname()[1]) for free in (one, other))
    ray = (python, "-m", "ray.scripts.scripts", "start", "--num-cpus", "1", "--disable-usage-stats")
    with scratch_folder() as folder:
        head = ("--head", "--port", port, "--ray-client-server-port", client_port, "--include-dashboard", "false")
        joined = ("--address", f"127.0.0.1:{port}", "--resources")
        try:
            for options in (
                (*head, "--temp-dir", str(folder / "ray")),
                (*joined, '{"phone": 1}'),
                (*joined, '{"plain": 1}'),
            ):
                with (folder / "log.txt").open("w") as log:  # no pipe: what is started would hold it open
                    subprocess.run([*ray, *options], env=environment, cwd="/", stdout=log, stderr=log, check=True)
            yield Cluster(f"127.0.0.1:{port}", f"ray://127.0.0.1:{client_port}")
        finally:
            subprocess.run(["pkill", "-KILL", "-f", str(folder)], check=False)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return shutil.copytree(trained_run(), tmp_path / "run")


def whole(run: Path, num_trials: int) -> list[str]:
    """The ids of so many trials, each there once with all its metrics."""
    rows = Run.open(run).trials.rows()
    assert [row["trial"] for row in rows] == list(range(num_trials))
    assert all(row["error"] is None and row["accuracy"] > 0 and row["latency_ms"] > 0 for row in rows)
    ids = [row["id"] for row in rows]
    assert len(set(ids)) == num_trials
    return ids


def test_searches_from_a_machine_outside_and_goes_on_when_a_node_dies(
    guarded: Environment, cluster: Cluster, run: Path
) -> None:
    """Accuracies are measured anywhere, latencies on the machine that has the device, and the trials lie here."""
    first = whole(run, 6)
    search = [sys.executable, "-m", "snugnet", "search", str(run), "--on", "phone", "--address"]
    with subprocess.Popen(
        [*search, cluster.client, "--trials", "30"], env=guarded, stderr=subprocess.PIPE, text=True
    ) as searching:
        deadline = time.monotonic() + 300
        while len(Run.open(run).trials.rows()) < 8:
            assert time.monotonic() < deadline
            assert searching.poll() is None, searching.communicate()[1]
            time.sleep(0.2)
        subprocess.run(["pkill", "-KILL", "-f", "static_resource_list=.*plain,1"], check=True)
        assert searching.stderr is not None
        error = searching.stderr.read()
    assert searching.returncode == 0, error
    assert whole(run, 30)[:6] == first


def test_measures_on_the_worker_that_has_the_device(guarded: Environment, cluster: Cluster, run: Path) -> None:
    measure = ("snugnet", "measure", str(run), "--architectures", "2", "--seconds", "0.1", "--address", cluster.address)
    done = call(guarded, *measure, "--on", "phone", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["rows"]) == 2


@pytest.mark.parametrize("command", ["measure", "search"])
def test_a_device_that_no_machine_has_is_refused(
    guarded: Environment, cluster: Cluster, run: Path, command: str
) -> None:
    count = {"measure": "--architectures", "search": "--trials"}[command]
    refused = call(guarded, "snugnet", command, str(run), count, "9", "--address", cluster.address, "--on", "tablet")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "each worker needs 1 tablet and the cluster has 0 in all" in refused.stderr


def test_without_the_token_one_is_told_where_to_take_it(
    guarded: Environment, cluster: Cluster, run: Path, tmp_path: Path
) -> None:
    stranger = {**guarded, "HOME": str(tmp_path)}
    del stranger["RAY_AUTH_TOKEN"]
    refused = call(stranger, "snugnet", "search", str(run), "--trials", "9", "--address", cluster.address)
    assert refused.returncode == 2
    assert re.search(r"asks for a token; copy ~/.ray/auth_token", refused.stderr)

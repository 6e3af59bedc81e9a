"""A device on a worker of a running cluster that is guarded by a token."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.scratch import scratch_folder
from tests.journey import trained_run

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

Environment = dict[str, str]


def call(environment: Environment, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)


@pytest.fixture
def guarded() -> Environment:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**plain, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}


@pytest.fixture
def cluster(guarded: Environment) -> Iterator[str]:
    """Its address; one of its two nodes has the resource "phone"."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    ray = ("ray.scripts.scripts", "start", "--num-cpus", "1", "--disable-usage-stats")
    with scratch_folder() as folder:
        head = ("--head", "--port", port, "--include-dashboard", "false", "--temp-dir", str(folder / "ray"))
        try:
            for options in (head, ("--address", f"127.0.0.1:{port}", "--resources", '{"phone": 1}')):
                started = call(guarded, *ray, *options)
                assert started.returncode == 0, started.stderr
            yield f"127.0.0.1:{port}"
        finally:
            subprocess.run(["pkill", "-KILL", "-f", str(folder)], check=False)


def test_measures_on_the_worker_that_has_the_device(guarded: Environment, cluster: str, tmp_path: Path) -> None:
    run = shutil.copytree(trained_run(), tmp_path / "run")
    measure = ("snugnet", "measure", str(run), "--architectures", "2", "--seconds", "0.1", "--address", cluster)
    done = call(guarded, *measure, "--on", "phone", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["rows"]) == 2
    refused = call(guarded, *measure, "--on", "tablet")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "each worker needs 1 tablet and the cluster has 0 in all" in refused.stderr
    stranger = {**guarded, "HOME": str(tmp_path)}
    del stranger["RAY_AUTH_TOKEN"]
    refused = call(stranger, *measure, "--on", "phone")
    assert refused.returncode == 2
    assert "asks for a token; copy ~/.ray/auth_token" in refused.stderr

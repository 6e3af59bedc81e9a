"""What a search survives: SIGKILL of the command, a worker or a machine, and a full disk, each at random moments.

A supernet of the digits is searched one architecture at a time by accuracy and parameters, which repeat exactly.
After every fault the command runs again, where it ended, and in the end to its last trial. Then every trial must be
there exactly once, none may have changed, and the architectures must be those, in the order, of a search that nothing
befell.

    python -m benchmarks.faults --times 5 --out faults.parquet

* command: `snugnet search` itself.   * worker: the process that evaluates.
* machine: one of two of a Ray cluster, which ends with all that runs on it; another takes its place.
* disk: the run lies on a tmpfs that is full until room is made; mounting one takes root.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ray.cluster_utils import Cluster

from benchmarks.kill import EXPERIMENT, SNUGNET, assert_whole, finish
from snugnet.run import Run

BEFORE_S = (3.0, 12.0)
"""When a fault strikes after the command began: while Ray starts, or among the trials."""


class Fault:
    """Brings a search of the run to `trials` although it is struck `times` times; rows are checked after each."""

    def __init__(self, name: str, run: Path, logs: Path, trials: int, address: str = "local") -> None:
        self.name, self.run, self.logs = name, run, logs
        self.command = [*SNUGNET, "search", str(run), "--trials", str(trials), "--address", address]
        self.hits = 0
        self._before: dict[int, str] = {}

    @contextmanager
    def searching(self, generator: random.Random) -> Iterator[subprocess.Popen[bytes]]:
        """The search, some seconds after it began."""
        with (self.logs / "log.txt").open("ab") as log:
            process = subprocess.Popen(self.command, stdout=log, stderr=log, start_new_session=True)
        try:
            process.wait(generator.uniform(*BEFORE_S))
        except subprocess.TimeoutExpired:
            self.hits += 1
        yield process
        process.wait()
        self.check()

    def check(self) -> None:
        assert_whole(self.run)
        rows = {row["trial"]: row["id"] for row in Run.open(self.run).trials.rows()}
        lost = [trial for trial, id in self._before.items() if rows.get(trial) != id]
        assert not lost, f"{self.name}: trials {lost} were lost or changed"
        assert sorted(rows) == list(range(len(rows))), f"{self.name}: the trials have a gap"
        assert max(Counter(rows.values()).values(), default=1) == 1, f"{self.name}: an architecture is there twice"
        self._before = rows


def command(fault: Fault, generator: random.Random) -> None:
    with fault.searching(generator) as process:
        process.kill()


def worker(fault: Fault, generator: random.Random) -> None:
    """The search itself goes on to its end."""
    with fault.searching(generator) as process:
        for pid in workers_of(process.pid):
            os.kill(pid, signal.SIGKILL)


def machine(cluster: Cluster) -> Callable[[Fault, random.Random], None]:
    def strike(fault: Fault, generator: random.Random) -> None:
        node = cluster.add_node(num_cpus=1)
        with fault.searching(generator):
            cluster.remove_node(node, allow_graceful=False)

    return strike


def disk(fault: Fault, generator: random.Random) -> None:
    """The command must end with status 2 and one line, and go on once there is room."""
    ballast = fault.run / "ballast"
    with fault.searching(generator) as process, ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:  # that is what it is for
            pass
    assert process.returncode in (0, 2)
    ballast.unlink()


def workers_of(ancestor: int) -> list[int]:
    """Processes of Ray's actors among the descendants of a process."""
    lines = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in lines.splitlines()[1:]]
    parents = {int(pid): (int(parent), args) for pid, parent, args in rows}

    def descends(pid: int) -> bool:
        while pid in parents and pid != ancestor:
            pid = parents[pid][0]
        return pid == ancestor

    return [pid for pid, (_, args) in parents.items() if args.startswith("ray::Worker") and descends(pid)]


@contextmanager
def small_disk(parent: Path) -> Iterator[Path]:
    """A tmpfs of 8 MiB. Raises CalledProcessError where none may be mounted."""
    folder = parent / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def measure(
    fault: Fault, strike: Callable[[Fault, random.Random], None], times: int, expected: list[str]
) -> dict[str, Any]:
    """Raises AssertionError where a trial was lost, doubled or changed, or another architecture was proposed."""
    started, generator = time.monotonic(), random.Random(fault.name)
    for _ in range(times):
        strike(fault, generator)
    finish(fault.command, fault.logs)
    fault.check()
    ids = [row["id"] for row in Run.open(fault.run).trials.rows()]
    assert ids == expected, f"{fault.name}: the architectures are not those of a search that nothing befell"
    seconds = time.monotonic() - started
    return {"fault": fault.name, "times": times, "while_running": fault.hits, "trials": len(ids), "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5, help="of each fault (default 5)")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--faults", nargs="+", default=["command", "worker", "machine", "disk"], metavar="NAME")
    parser.add_argument("--out", type=Path, help="a Parquet file for the table")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "kill.toml").write_text(EXPERIMENT)
        finish([*SNUGNET, "train", str(folder / "kill.toml"), "--run", str(folder / "trained")], folder)
        straight = Fault("nothing", shutil.copytree(folder / "trained", folder / "straight"), folder, options.trials)
        finish(straight.command, folder)
        expected = [row["id"] for row in Run.open(straight.run).trials.rows()]

        def befallen(name: str, parent: Path, address: str = "local") -> Fault:
            return Fault(name, shutil.copytree(folder / "trained", parent / name), folder, options.trials, address)

        for fault, strike in (("command", command), ("worker", worker)):
            if fault in options.faults:
                rows.append(measure(befallen(fault, folder), strike, options.times, expected))
        if "machine" in options.faults:
            cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
            try:
                rows.append(
                    measure(befallen("machine", folder, cluster.address), machine(cluster), options.times, expected)
                )
            finally:
                cluster.shutdown()
        if "disk" in options.faults:
            with small_disk(folder) as small:
                rows.append(measure(befallen("disk", small), disk, options.times, expected))
    print(
        f"{'fault':<10}{'times':>7}{'while running':>15}{'trials':>8}{'seconds':>9}   every trial once, in their order"
    )
    for row in rows:
        counts = f"{row['times']:>7}{row['while_running']:>15}{row['trials']:>8}{row['seconds']:>9.0f}"
        print(f"{row['fault']:<10}{counts}   held")
    if options.out:
        pq.write_table(pa.Table.from_pylist(rows), options.out)


if __name__ == "__main__":
    main()

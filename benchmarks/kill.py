"""Kill `snugnet train` and `snugnet search` with SIGKILL at random moments, and check what is left.

The same commands run again after each kill.
After the last kill the command runs to its end. Then the weights must equal those of a run that nobody killed, to the
last bit; the trials must be numbered without a gap or a double; and no file may be half written.

    python benchmarks/kill.py --kills 10 --out kill.parquet
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from snugnet.run import Run
from studies.reading import read_table
from supernet.checkpoint import content_hash, load_tensors

EXPERIMENT = """
name = "kill"
[data]
format = "digits"
[search_space]
stem = { patch = { stride = 2 } }
mixer = { pooling = {}, depthwise = { kernel_size = [3, 5] } }
ffn = { mlp = { expansion = [1, 2, 4] } }
[[search_space.stages]]
width = [8, 16, 24]
depth = [1, 2]
[supernet]
subnets_per_step = 3
epochs = 40
batch_size = 64
threads = 1
checkpoint_steps = 10
[search]
algorithm = "nsga2"
objectives = ["accuracy", "params"]
workers = 1
batch_size = 1
[search.latency]
max_seconds = 0.05
"""

SNUGNET = [sys.executable, "-m", "snugnet"]


def killed(command: list[str], seconds: float, folder: Path) -> bool:
    """Run the command and SIGKILL it after so long; whether it was still running then."""
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return True


def finish(command: list[str], folder: Path) -> None:
    """Run the command to its end; what it printed is in the folder's log.txt."""
    with (folder / "log.txt").open("ab") as log:
        subprocess.run(command, stdout=log, stderr=log, check=True)


def kill_train(folder: Path, kills: int, generator: random.Random) -> dict[str, Any]:
    """Raises AssertionError where a kill left a trace."""
    experiment = folder / "kill.toml"
    experiment.write_text(EXPERIMENT)
    straight = [*SNUGNET, "train", str(experiment), "--run", str(folder / "straight")]
    started = time.monotonic()
    finish(straight, folder)
    seconds = time.monotonic() - started
    command = [*SNUGNET, "train", str(experiment), "--run", str(folder / "run")]
    hits = sum(killed(command, generator.uniform(0.05, 0.4) * seconds, folder) for _ in range(kills))
    finish(command, folder)
    expected, found = (load_tensors(folder / name / "supernet.safetensors") for name in ("straight", "run"))
    assert content_hash(found[0]) == content_hash(expected[0]), "the weights differ from those of a run not killed"
    steps = [row["step"] for row in found[1]["history"]]
    assert steps == [row["step"] for row in expected[1]["history"]], "the history has a gap or a double"
    assert_whole(folder / "run")
    return {"command": "train", "kills": kills, "hits": hits, "rows": len(steps), "seconds": seconds}


def kill_search(folder: Path, kills: int, generator: random.Random, trials: int = 60) -> dict[str, Any]:
    """In the folder of a trained run. Raises AssertionError where a kill left a trace."""
    command = [*SNUGNET, "search", str(folder / "run"), "--trials", str(trials)]
    hits, lost = 0, 0
    before: dict[int, str] = {}
    started = time.monotonic()
    for _ in range(kills):
        hits += killed(command, generator.uniform(4, 16), folder)
        assert_whole(folder / "run")
        rows = {row["trial"]: row["id"] for row in Run.open(folder / "run").trials.rows()}
        lost += sum(rows.get(trial) != id for trial, id in before.items())
        before = rows
    finish(command, folder)
    rows_after = Run.open(folder / "run").trials.rows()
    assert lost == 0, f"{lost} rows were lost or changed"
    assert [row["trial"] for row in rows_after] == list(range(trials)), "the trials have a gap or a double"
    doubles = [id for id, count in Counter(row["id"] for row in rows_after).items() if count > 1]
    assert not doubles, f"evaluated twice: {doubles}"
    return {
        "command": "search",
        "kills": kills,
        "hits": hits,
        "rows": len(rows_after),
        "seconds": time.monotonic() - started,
    }


def assert_whole(run: Path) -> None:
    """Every file of a run can be read to its end."""
    for path in run.rglob("*.parquet"):
        read_table(path)
    if (run / "supernet.safetensors").exists():
        load_tensors(run / "supernet.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="kills of each command (default 10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a Parquet file for the table")
    options = parser.parse_args()
    generator = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [kill_train(folder, options.kills, generator), kill_search(folder, options.kills, generator)]
    held = "no row lost, none twice, no half file"
    print(f"{'command':<10}{'kills':>7}{'while running':>15}{'rows':>7}{'seconds':>9}   {held}")
    for row in rows:
        print(f"{row['command']:<10}{row['kills']:>7}{row['hits']:>15}{row['rows']:>7}{row['seconds']:>9.1f}   held")
    if options.out:
        pq.write_table(pa.Table.from_pylist(rows), options.out)


if __name__ == "__main__":
    main()

"""What a search itself costs: evaluations in a second where an evaluation takes no time, through Ray on this machine.

The space has two stages of four or eight blocks. Every finished batch is appended to a table of Parquet, as in a run.
`seconds` begin when the cluster stands; the start of the workers is within. `tune` is Ray Tune with a random searcher,
two reused actors and one architecture in each trial, without a table.

    python -m benchmarks.search_overhead --out search_overhead.parquet
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ray import tune
from ray.tune.search import Searcher

from search.algorithms.registry import make_algorithm
from search.cluster import connected
from search.crew import Crew
from search.launch import run_search
from search.problem import Evaluate, Problem
from search_space import Architecture
from search_space.staged import StagedSpace, StageSpace
from snugnet.run import TRIALS
from studies.table import Table

STAGE = StageSpace((8, 16, 24), (4, 8), {str(i): {} for i in range(8)}, {"none": {}}, {"none": {}})
PROBLEM = Problem.parse(StagedSpace({"patch": {}}, {"layer": {}}, (STAGE, STAGE)), ["accuracy", "latency_ms"])


def build() -> Evaluate:
    def evaluate(architectures: list[Architecture]) -> list[dict[str, Any]]:
        return [{"accuracy": 0.5, "latency_ms": 1.0} for _ in architectures]

    return evaluate


def ours(algorithm: str, batch_size: int, num_trials: int) -> float:
    """Seconds."""
    with tempfile.TemporaryDirectory() as folder:
        table = Table(Path(folder) / "trials", TRIALS)
        started = time.perf_counter()
        made = make_algorithm(algorithm, PROBLEM, 0)
        run_search(made, Crew(build, workers=2), [], num_trials, table.append, batch_size=batch_size)
        assert len(table) == num_trials
        return time.perf_counter() - started


class Drawn(Searcher):  # type: ignore[misc]
    """Random architectures for Ray Tune."""

    def __init__(self) -> None:
        super().__init__()
        self._generator = np.random.default_rng(0)

    def suggest(self, trial_id: str) -> dict[str, Any]:
        return {"architecture": PROBLEM.space.sample(self._generator).to_json()}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        pass

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        pass


class Trial(tune.Trainable):  # type: ignore[misc]
    """Evaluates one architecture."""

    def setup(self, config: dict[str, Any]) -> None:
        self._evaluate = build()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return True

    def step(self) -> dict[str, Any]:
        (row,) = self._evaluate([Architecture.from_json(self.config["architecture"])])
        return {**row, "done": True}


def tuned(num_trials: int) -> float:
    """Seconds."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        tune.run(
            Trial,
            search_alg=Drawn(),
            num_samples=num_trials,
            max_concurrent_trials=2,
            reuse_actors=True,
            storage_path=folder,
            verbose=0,
        )
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=3, help="of all in turn; the best of each counts")
    parser.add_argument("--out", type=Path, help="a Parquet file for the table")
    options = parser.parse_args()
    arms = [(name, size) for name in ("random", "nsga2") for size in (1, 4, 16)]
    rows: list[dict[str, Any]] = []
    with connected("local", min_cpus=2):
        for repeat in range(options.repeats):
            for name, size in [*arms, ("tune", 1)]:
                taken = tuned(options.trials) if name == "tune" else ours(name, size, options.trials)
                rows.append({"search": name, "batch_size": size, "repeat": repeat, "seconds": taken})
    print(f"{options.trials} evaluations\n{'search':<10}{'batch':>6}{'evaluations/s':>15}")
    for name, size in [*arms, ("tune", 1)]:
        best = min(row["seconds"] for row in rows if (row["search"], row["batch_size"]) == (name, size))
        print(f"{name:<10}{size:>6}{options.trials / best:>15.0f}")
    if options.out:
        pq.write_table(pa.Table.from_pylist(rows), options.out)


if __name__ == "__main__":
    main()

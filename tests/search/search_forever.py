"""A search to be killed or interrupted: appends every batch to a table of JSON lines and says where its cluster is."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from search.algorithms.random import Random
from search.crew import Crew
from search.launch import run_search
from search.problem import Evaluate, Problem
from search_space import Architecture
from search_space.staged import Components, StagedSpace, StageSpace
from snugnet.progress import stop_on_signal


def build() -> Evaluate:
    def evaluate(architectures: list[Architecture]) -> list[dict[str, Any]]:
        time.sleep(0.05)
        return [{"accuracy": 0.5} for _ in architectures]

    return evaluate


def main(table: Path) -> None:
    def keep(rows: list[dict[str, Any]]) -> None:
        with table.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        import ray

        print(len(rows), ray.get_runtime_context().gcs_address, flush=True)

    mixers: Components = {str(i): {} for i in range(8)}
    stage = StageSpace((8, 16), (8,), mixers, {"none": {}}, {"none": {}})
    problem = Problem.parse(StagedSpace({"patch": {}}, {"layer": {}}, (stage,)), ["accuracy"])
    rows = [json.loads(line) for line in table.read_text().splitlines()] if table.exists() else []
    with stop_on_signal() as stop:
        print(run_search(Random(problem, 0), Crew(build), rows, 100_000, keep, batch_size=2, stop=stop).ending)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

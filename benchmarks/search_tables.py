"""Search algorithms on the cells of NAS-Bench-201, whose accuracies and latencies on ten devices are all known.

* front: accuracy (CIFAR-10, after 200 epochs) against the latency on one device. Share of the true front's hypervolume,
  with the reference point 84% and the 95th percentile of latency.
* limit: the most accurate within a latency, the 10th, 30th or 50th percentile. Regret in points of accuracy.
* many: accuracy and the latencies on two devices, with five constraints: those latencies, that on a third device, FLOPs
  and parameters, each at most its 70th percentile. Share of the hypervolume below these limits and above 84%.

All see the same table through the same space. An evaluation is that of a cell not evaluated before. `pymoo` is NSGA-II
of pymoo (`pip install pymoo`) on choice variables, with a population of 20, as that of Optuna.

    python -m benchmarks.search_tables --out search_tables --data $SNUGNET_DATA/predictors

An interrupted benchmark continues where it stopped.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import search
from search.front import hypervolume
from search.problem import Objective
from snugnet.progress import Progress
from studies.schema import Column, Schema
from studies.table import Table

SCHEMA = Schema(
    (
        Column("problem", "string", "front, limit or many"),
        Column("device", "string", "whose latency counts; of many the first of them"),
        Column("percentile", "int", "of all latencies, the limit; 0 without one", unit="percent"),
        Column("algorithm", "string", "of snugnet, or pymoo"),
        Column("seed", "int", "of the algorithm", unit="count"),
        Column("evaluations", "int", "of different cells", unit="count"),
        Column("value", "float", "share of the hypervolume, or regret in points", unit="share or points"),
        Column("seconds", "float", "of the search so far", unit="s"),
    ),
    key=("problem", "device", "percentile", "algorithm", "seed", "evaluations"),
)
EDGES = ["e01", "e02", "e12", "e03", "e13", "e23"]
ACCURACY = "c10_val_acc_ep200"
COMPARED = ("guided", "nsga2", "tpe", "pymoo", "random")
CHECKPOINTS = (50, 100, 200, 400)
PERCENTILES = (10, 30, 50)
LOWEST_ACCURACY = 84.0
MANY_PERCENTILE = 70
NO_VALUE = 100.0
"""The regret before anything within the limit was found."""

Row = dict[str, Any]
Judge = Callable[[Sequence[Row]], float]


class Task(NamedTuple):
    """A problem and how evaluated rows of it are judged."""

    name: str
    device: str
    percentile: int
    problem: search.TableProblem
    judge: Judge


def tasks(table: pa.Table, names: Sequence[str], devices: Sequence[str]) -> Iterator[Task]:
    rows, every = table.to_pylist(), [name for name in table.column_names if name.endswith("_ms")]
    for device in devices:
        latency = table[device].to_numpy()
        if "front" in names:
            made = search.TableProblem(table, features=EDGES, maximize=ACCURACY, minimize=device)
            reference = [LOWEST_ACCURACY, float(np.percentile(latency, 95))]
            yield Task("front", device, 0, made, share(made.objectives, rows, reference))
        for percentile in PERCENTILES if "limit" in names else ():
            limit = float(np.percentile(latency, percentile))
            made = search.TableProblem(table, features=EDGES, maximize=ACCURACY, at_most={device: limit})
            yield Task("limit", device, percentile, made, regret(rows, device, limit))
        if "many" in names:
            second, third = (every[(every.index(device) + i) % len(every)] for i in (3, 6))
            columns = [device, second, third, "c10_flops_m", "c10_params_m"]
            limits = {name: float(np.percentile(table[name].to_numpy(), MANY_PERCENTILE)) for name in columns}
            made = search.TableProblem(
                table, features=EDGES, maximize=ACCURACY, minimize=[device, second], at_most=limits
            )
            feasible = [row for row in rows if made.violation(row) <= 0]
            reference = [LOWEST_ACCURACY, limits[device], limits[second]]
            inner = share(made.objectives, feasible, reference)
            yield Task("many", device, MANY_PERCENTILE, made, of_feasible(made, inner))


def of_feasible(problem: search.TableProblem, judge: Judge) -> Judge:
    return lambda some: judge([row for row in some if problem.violation(row) <= 0])


def share(
    objectives: Sequence[Objective], rows: Sequence[Row], reference: list[float]
) -> Callable[[Sequence[Row]], float]:
    whole = hypervolume(rows, objectives, reference)
    return lambda some: hypervolume(some, objectives, reference) / whole


def regret(rows: Sequence[Row], device: str, limit: float) -> Judge:
    best = max(row[ACCURACY] for row in rows if row[device] <= limit)
    return lambda some: best - max((row[ACCURACY] for row in some if row[device] <= limit), default=best - NO_VALUE)


def with_pymoo(problem: search.TableProblem, trials: int, seed: int, on_row: Callable[[Row], None]) -> list[Row]:
    """NSGA-II on one choice variable for each feature, until so many different rows were evaluated."""
    from pymoo.algorithms.moo.nsga2 import RankAndCrowdingSurvival
    from pymoo.core.mixed import MixedVariableGA
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.core.variable import Choice
    from pymoo.optimize import minimize

    rows: dict[str, Row] = {}
    decisions = problem.space.decisions()

    class Replayed(ElementwiseProblem):  # type: ignore[misc]
        def __init__(self) -> None:
            variables = {name: Choice(options=list(options)) for name, options in decisions.items()}
            super().__init__(vars=variables, n_obj=len(problem.objectives), n_ieq_constr=len(problem.constraints))

        def _evaluate(self, choices: dict[str, Any], out: Row, *_: Any, **__: Any) -> None:
            architecture = problem.space.build(lambda name, _: choices[name])
            (row,) = problem.evaluate([architecture])
            out["F"] = problem.losses(row)
            out["G"] = [constraint.violation(row) for constraint in problem.constraints]
            if architecture.id not in rows and len(rows) < trials:
                rows[architecture.id] = dict(row)
                on_row(rows[architecture.id])

    algorithm = MixedVariableGA(pop_size=20, survival=RankAndCrowdingSurvival())

    def stop(made: Any) -> None:
        if len(rows) >= trials:
            made.termination.force_termination = True

    algorithm.callback = stop
    minimize(Replayed(), algorithm, ("n_gen", 40 * trials), seed=seed, verbose=False)
    return list(rows.values())


def results(task: Task, algorithm: str, seed: int, trials: int) -> Iterator[Row]:
    """One row for each checkpoint up to `trials`."""
    started, seconds = time.perf_counter(), list[float]()

    def on_row(_: Row) -> None:
        seconds.append(time.perf_counter() - started)

    if algorithm == "pymoo":
        rows = with_pymoo(task.problem, trials, seed, on_row)
    else:
        rows = search.run(task.problem, algorithm=algorithm, trials=trials, seed=seed, on_row=on_row)
    for count in CHECKPOINTS:
        if count <= trials:
            yield {
                "problem": task.name, "device": task.device, "percentile": task.percentile, "algorithm": algorithm,
                "seed": seed, "evaluations": count, "value": float(task.judge(rows[:count])),
                "seconds": seconds[min(count, len(seconds)) - 1],
            }  # fmt: skip


def show(rows: Sequence[Row]) -> None:
    for name, what in (
        ("front", "share of hypervolume"),
        ("limit", "regret in points"),
        ("many", "share, constrained"),
    ):
        some = [row for row in rows if row["problem"] == name]
        if not some:
            continue
        counts = sorted({row["evaluations"] for row in some})
        print(f"{name}: {what:<24}" + "".join(f"{count:>16}" for count in counts) + f"{'seconds':>10}{'runs':>6}")
        for algorithm in dict.fromkeys(row["algorithm"] for row in some):
            own = [row for row in some if row["algorithm"] == algorithm]
            cells = ""
            for count in counts:
                values = [row["value"] for row in own if row["evaluations"] == count]
                spread = np.std(values) / np.sqrt(len(values)) if values else 0.0
                cells += f"{np.mean(values):>9.3f} ±{spread:.3f}" if values else f"{'':>16}"
            last = [row["seconds"] for row in own if row["evaluations"] == max(r["evaluations"] for r in own)]
            print(f"{algorithm:<31}{cells}{np.mean(last):>10.1f}{len(last):>6}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the table")
    default = Path(os.environ.get("SNUGNET_DATA", ".")) / "predictors"
    parser.add_argument("--data", type=Path, default=default, help="folder of nb201.parquet")
    parser.add_argument("--problems", nargs="+", default=["front", "limit", "many"], metavar="NAME")
    parser.add_argument(
        "--algorithms", nargs="+", default=["guided", "nsga2", "tpe", "pymoo", "random"], metavar="NAME"
    )
    parser.add_argument("--devices", nargs="+", metavar="COLUMN", help="columns of latencies (default all ten)")
    parser.add_argument("--seeds", type=int, default=10, help="runs of each (default 10)")
    parser.add_argument("--trials", type=int, default=200, help="evaluations of each run (default 200)")
    options = parser.parse_args()
    table, stored = pq.read_table(options.data / "nb201.parquet"), Table(options.out, SCHEMA)
    devices = options.devices or [name for name in table.column_names if name.endswith("_ms")]
    wanted = list(tasks(table, options.problems, devices))
    known = {tuple(row[name] for name in SCHEMA.key) for row in stored.rows()}
    progress = Progress("runs", len(wanted) * len(options.algorithms) * options.seeds)
    for seed in range(options.seeds):
        for task in wanted:
            for algorithm in options.algorithms:
                last = max(count for count in CHECKPOINTS if count <= options.trials)
                if (task.name, task.device, task.percentile, algorithm, seed, last) not in known:
                    stored.append(list(results(task, algorithm, seed, options.trials)))
                progress(progress.done + 1)
    show(stored.rows())


if __name__ == "__main__":
    main()

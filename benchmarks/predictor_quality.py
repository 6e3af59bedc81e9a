"""Predictors from scratch: 20 to 200 measured rows, beside the best of five scikit-learn regressors in hindsight.

A cell is a measured column and a number of training rows; every figure is a mean over seeds, each with other training
rows and up to 2,000 disjoint test rows, the same for every method. `auto` is LatencyPredictor() or AccuracyPredictor();
`best` is for each figure the reference that turned out best in this cell, so it may be another one for each. All see
the same columns; those of fbnet hold what its operators compute, from their definition. A cell is held where auto is at
least as good as the best in Kendall's tau and in the share within 10%, up to one standard error of the difference over
the seeds.

    python -m benchmarks.predictor_quality --out predictor_quality --data $SNUGNET_DATA/predictors
    python -m benchmarks.predictor_quality --out predictor_quality --only nb201/2080ti_256_ms hat --rows 50 200
    python -m benchmarks.predictor_quality --out predictor_quality --seeds 20 --methods auto

An interrupted benchmark continues where it stopped. All cells take about an hour on one core. The picture shows the
means over the columns of each table. Coverage varies much between draws of few rows: more seeds for `auto` alone say
whether it is right on average, and comparisons then take the seeds that all methods have.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from scipy.stats import kendalltau, spearmanr

from benchmarks.predictor_references import REFERENCES, Predicted, predict_with
from benchmarks.predictor_tables import Floats, MeasuredTable, read_tables
from predictors import AccuracyPredictor, LatencyPredictor
from snugnet.progress import Progress
from studies.schema import Column, Schema
from studies.table import Table

matplotlib.use("Agg")
from matplotlib import pyplot as plt

FIGURES = (
    Column("kendall", "float", "rank correlation with the measured column", unit="correlation"),
    Column("spearman", "float", "rank correlation with the measured column", unit="correlation"),
    Column("mape", "float", "mean absolute error relative to the measurement", unit="fraction"),
    Column("within_10_percent", "float", "share of errors below a tenth of the measurement", unit="fraction"),
    Column("coverage", "float", "share of measurements inside 90% intervals", unit="fraction"),
    Column("width", "float", "mean width of 90% intervals over mean measurement", unit="fraction"),
    Column("fit_seconds", "float", "CPU time of fitting and predicting"),
)
SCHEMA = Schema(
    (
        Column("table", "string", "name of the table"),
        Column("column", "string", "what is predicted"),
        Column("num_rows", "int", "training rows", unit="count"),
        Column("seed", "int", "of the draw of rows", unit="count"),
        Column("method", "string", "auto, or the reference"),
        *FIGURES,
    ),
    key=("table", "column", "num_rows", "seed", "method"),
)
TRAINING_ROWS = (20, 50, 100, 200)
METHODS = ("auto", *REFERENCES)
SHOWN = {"kendall": "Kendall's tau", "within_10_percent": "share within 10%"}
LOWER_IS_BETTER = ("mape", "width")
LEAST_COVERAGE, MOST_COVERAGE = 0.87, 0.93
"""Between which that of nominal 90% counts as right; the width of a reference counts if it reaches the lower one."""
ENOUGH_ROWS = 50
"""From where on coverage is judged."""

Row = dict[str, Any]


def measures(predicted: Predicted, truth: Floats) -> dict[str, float]:
    errors = np.abs(predicted.value / truth - 1)
    told_apart = np.ptp(predicted.value) > 0
    return {
        "kendall": kendalltau(predicted.value, truth).statistic if told_apart else 0.0,
        "spearman": spearmanr(predicted.value, truth).statistic if told_apart else 0.0,
        "mape": float(np.mean(errors)),
        "within_10_percent": float(np.mean(errors <= 0.1)),
        "coverage": float(np.mean((predicted.low <= truth) & (truth <= predicted.high))),
        "width": float(np.mean(predicted.high - predicted.low) / np.mean(truth)),
    }


def compare(table: MeasuredTable, column: str, num_rows: int, seed: int, methods: list[str]) -> Iterator[Row]:
    """A row for each of the methods, for one draw of training and test rows."""
    targets, latency = table.columns[column], column.endswith("_ms")
    order = np.random.default_rng(seed).permutation(len(table.rows))
    test = order[-min(2000, len(order) // 3) :]
    known, new = [table.rows[i] for i in order[:num_rows]], [table.rows[i] for i in test]
    y, truth = targets[order[:num_rows]], targets[test]
    key = {"table": table.name, "column": column, "num_rows": num_rows, "seed": seed}
    for method in methods:
        started = time.process_time()
        if method == "auto":
            predictor = (LatencyPredictor() if latency else AccuracyPredictor()).fit(known, y)
            predicted = Predicted(predictor.predict(new), *predictor.predict_interval(new))
        else:
            predicted = predict_with(method, known, y, new, latency, seed)
        seconds = time.process_time() - started
        yield {**key, "method": method, **measures(predicted, truth), "fit_seconds": seconds}


def by_method(rows: list[Row], name: str) -> dict[str, Floats]:
    """Method -> the figure of every seed that all methods have, in their order."""
    seeds = sorted(set.intersection(*({row["seed"] for row in rows if row["method"] == each} for each in METHODS)))
    found = {(row["method"], row["seed"]): row[name] for row in rows}
    return {method: np.array([found[method, seed] for seed in seeds]) for method in METHODS}


def best_reference(rows: list[Row], name: str) -> str | None:
    """The one that turned out best; for widths, among those that cover enough."""
    means = {method: float(values.mean()) for method, values in by_method(rows, name).items() if method != "auto"}
    if name == "width":
        covered = by_method(rows, "coverage")
        means = {method: mean for method, mean in means.items() if covered[method].mean() >= LEAST_COVERAGE}
    if not means:
        return None
    return min(means, key=lambda method: means[method] if name in LOWER_IS_BETTER else -means[method])


def best_of(rows: list[Row], name: str) -> str:
    best = best_reference(rows, name)
    assert best is not None
    return best


def held(rows: list[Row], name: str) -> bool:
    values, best = by_method(rows, name), best_of(rows, name)
    behind = values[best] - values["auto"]
    return bool(behind.mean() <= behind.std(ddof=1) / len(behind) ** 0.5)


def coverage(rows: list[Row]) -> float:
    """Of auto's intervals, over all seeds."""
    return float(np.mean([row["coverage"] for row in rows if row["method"] == "auto"]))


def line(rows: list[Row]) -> str:
    first, cells = rows[0], ""
    for name in ("kendall", "within_10_percent", "mape", "spearman"):
        best = best_of(rows, name)
        values = by_method(rows, name)
        mark = "" if name in ("mape", "spearman") else " " if held(rows, name) else "!"
        cells += f"{values['auto'].mean():>9.3f}{values[best].mean():>7.3f}{mark}"
    own, narrowest = by_method(rows, "width")["auto"].mean(), best_reference(rows, "width")
    width = f"{own / by_method(rows, 'width')[narrowest].mean():>7.2f}" if narrowest else f"{'-':>7}"
    covered, seconds = coverage(rows), by_method(rows, "fit_seconds")["auto"].mean()
    return (
        f"{first['table']:<16}{first['column']:<19}{first['num_rows']:>4}{cells}{covered:>9.3f}{width}{seconds:>7.2f}"
    )


def draw(cells: list[list[Row]], path: Path) -> None:
    """Kendall's tau and the share within 10% over training rows: a column of panels for each table and kind."""
    panels: dict[str, dict[int, list[list[Row]]]] = {}
    for cell in cells:
        name = cell[0]["table"] if cell[0]["column"].endswith("_ms") else f"{cell[0]['table']}, accuracy"
        panels.setdefault(name, {}).setdefault(cell[0]["num_rows"], []).append(cell)
    figure, axes = plt.subplots(2, len(panels), figsize=(2.4 * len(panels), 4.8), sharey="row", squeeze=False)
    for (name, by_rows), column in zip(panels.items(), axes.T, strict=True):
        for (figure_of, label), panel in zip(SHOWN.items(), column, strict=True):
            for kind in ("auto", "best"):
                means = [
                    np.mean(
                        [by_method(c, figure_of)["auto" if kind == "auto" else best_of(c, figure_of)] for c in found]
                    )
                    for found in by_rows.values()
                ]
                panel.plot([*by_rows], means, "o-" if kind == "auto" else "s--", markersize=4, label=kind)
            panel.set(xscale="log", xticks=[*by_rows], xlabel="training rows")
            panel.set_xticks([*by_rows], map(str, by_rows))
            panel.minorticks_off()
            panel.grid(alpha=0.3)
            column[0].set_title(name, fontsize=10)
            axes[[*SHOWN].index(figure_of), 0].set_ylabel(label)
    axes[0, 0].legend(["snugnet", "best reference"], fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the table")
    default = Path(os.environ.get("SNUGNET_DATA", ".")) / "predictors"
    parser.add_argument("--data", type=Path, default=default, help="folder of nb201.parquet and its sisters")
    parser.add_argument("--seeds", type=int, default=5, help="repetitions (default 5)")
    parser.add_argument(
        "--rows", type=int, nargs="+", default=TRAINING_ROWS, help="training rows (default 20 50 100 200)"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, help="to run (default all)")
    parser.add_argument("--only", nargs="+", default=[""], metavar="TABLE/COLUMN", help="cells whose name begins so")
    options = parser.parse_args()
    stored = Table(options.out, SCHEMA)
    known: dict[tuple[Any, ...], dict[tuple[str, int], Row]] = {}
    for row in stored.rows():
        cell_of = known.setdefault((row["table"], row["column"], row["num_rows"]), {})
        cell_of[row["method"], row["seed"]] = row
    wanted = [
        (table, column, num_rows)
        for table in read_tables(options.data)
        for column in table.columns
        for num_rows in options.rows
        if f"{table.name}/{column}".startswith(tuple(options.only))
    ]
    print(f"{'':<39}" + "".join(f"{name:>17}" for name in ("kendall", "within 10%")), end="")
    print(f"{'mape':>16}{'spearman':>16}{'auto covers,':>14} width, s")
    print(f"{'table':<16}{'column':<19}{'rows':>4}" + f"{'auto':>9}{'best':>7} " * 2 + f"{'auto':>9}{'best':>7}" * 2)
    progress, cells = Progress("cells", len(wanted)), []
    for table, column, num_rows in wanted:
        found = known.setdefault((table.name, column, num_rows), {})
        for seed in range(options.seeds):
            missing = [method for method in options.methods if (method, seed) not in found]
            if missing:
                rows = list(compare(table, column, num_rows, seed, missing))
                stored.append(rows)
                found |= {(row["method"], row["seed"]): row for row in rows}
        cells.append([*found.values()])
        print(line(cells[-1]), flush=True)
        progress(progress.done + 1)
    for name in ("kendall", "within_10_percent"):
        print(f"{name}: held in {sum(held(cell, name) for cell in cells)} of {len(cells)} cells")
    ratios = []
    for cell in cells:
        values, best = by_method(cell, "mape"), best_of(cell, "mape")
        ratios.append(values["auto"].mean() / values[best].mean())
    enough = [cell for cell in cells if cell[0]["num_rows"] >= ENOUGH_ROWS]
    right = sum(LEAST_COVERAGE <= coverage(cell) <= MOST_COVERAGE for cell in enough)
    print(
        f"coverage of 90% intervals: within 87 to 93% in {right} of {len(enough)} cells of {ENOUGH_ROWS} rows or more"
    )
    draw(cells, options.out / "predictor_quality.png")
    print(f"mape: mean of auto over best {np.mean(ratios):.3f}, geometric mean {np.exp(np.mean(np.log(ratios))):.3f}")


if __name__ == "__main__":
    main()

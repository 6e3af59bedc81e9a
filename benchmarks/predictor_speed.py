"""How long predictors take: a fit on 2,000 rows, and predictions of many architectures whose choices are encoded.

CPU seconds of one thread, on the measured tables; `rows` is fewer where a table has no more. Encoding is not counted,
and is printed beside it, as architectures encoded in a second.

    python -m benchmarks.predictor_speed --data $SNUGNET_DATA/predictors --out FILE
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from benchmarks.predictor_tables import MeasuredTable, read_tables
from predictors import AccuracyPredictor, LatencyPredictor

COLUMNS = {
    "nb201": ("2080ti_256_ms", "accuracy"),
    "fbnet": ("pixel3_ms",),
    "hat": ("cpu_raspberrypi_ms",),
    "accel": ("accuracy", "a100_ms"),
}
FITTED, PREDICTED = 2000, 500_000


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    started = time.process_time()
    answer = function()
    return time.process_time() - started, answer


def compare(table: MeasuredTable, column: str) -> dict[str, Any]:
    order = np.random.default_rng(0).permutation(len(table.rows))
    known, new = order[: min(FITTED, 2 * len(order) // 3)], order[-600:]
    predictor = LatencyPredictor() if column.endswith("_ms") else AccuracyPredictor()
    rows = [table.rows[i] for i in known]
    fit, _ = seconds(lambda: predictor.fit(rows, table.columns[column][known]))
    encode, columns = seconds(lambda: predictor.encode([table.rows[i] for i in new]))
    # A wide matrix of so many rows would not fit into memory: it is predicted in parts that do.
    part = np.tile(columns, (20, 1))
    repeats = max(1, PREDICTED // len(part) // max(1, columns.shape[1] // 100))
    predict, _ = seconds(lambda: [predictor.predict_encoded(part) for _ in range(repeats)])
    return {
        "table": table.name,
        "column": column,
        "rows": len(known),
        "columns": columns.shape[1],
        "fit_seconds": fit,
        "predicted_per_s": len(part) * repeats / predict,
        "encoded_per_s": len(new) / encode,
    }


def line(row: dict[str, Any]) -> str:
    return (
        f"{row['table']:<7}{row['column']:<20}{row['rows']:>6}{row['columns']:>9}{row['fit_seconds']:>7.2f} s"
        f"{row['predicted_per_s']:>12,.0f}/s{row['encoded_per_s']:>10,.0f}/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("SNUGNET_DATA", ".")) / "predictors"
    parser.add_argument("--data", type=Path, default=default, help="folder of nb201.parquet and its sisters")
    parser.add_argument("--out", type=Path, required=True, help="a Parquet file")
    options = parser.parse_args()
    found = []
    print(f"{'table':<7}{'column':<20}{'rows':>6}{'columns':>9}{'fit':>9}{'predicted':>14}{'encoded':>12}")
    with threadpool_limits(1):
        for table in read_tables(options.data):
            for column in COLUMNS.get(table.name, ()):
                if column in table.columns:
                    found.append(row := compare(table, column))
                    print(line(row), flush=True)
    pq.write_table(pa.Table.from_pylist(found), options.out)


if __name__ == "__main__":
    main()

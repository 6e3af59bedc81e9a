"""`snugnet predict fit`: how well a column of any table can be predicted, and predictions for another table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from predictors import AccuracyPredictor, LatencyPredictor, ReportCard, report_card
from search_space import UserError
from studies.part import write_part
from studies.reading import read_table

PREDICTORS = {"latency": LatencyPredictor, "accuracy": AccuracyPredictor}

COSTS = re.compile(r"(^|_)(ms|us|s|seconds|mj|j|bytes|mb|mib|flops|macs|params|latency)$")
"""Ends of names of columns that hold a cost: positive, with errors that are shares of it."""


@dataclass(frozen=True)
class PredictorFitted:
    """A predictor's report card on a table, and where predictions for another were written."""

    table: Path
    target: str
    features: list[str]
    kind: str
    card: ReportCard
    out: Path | None
    num_predicted: int
    num_far: int

    def as_dict(self) -> dict[str, Any]:
        card = {name: None if value == float("inf") else value for name, value in self.card.as_dict().items()}
        return {
            "table": str(self.table),
            "target": self.target,
            "features": self.features,
            "kind": self.kind,
            **card,
            "out": self.out and str(self.out),
            "num_predicted": self.num_predicted,
            "num_far": self.num_far,
        }

    def text(self) -> str:
        card = self.card
        lines = [f"{self.target} from {len(self.features)} columns of {card.rows} rows, as {self.kind}"]
        if card.kendall is not None:
            width = "-" if card.width is None or not np.isfinite(card.width) else f"{card.width:.4g}"
            lines += [
                f"held-out rows: Kendall's tau {card.kendall:.3f}, Spearman {_shown(card.spearman)}",
                f"mean absolute error {_percent(card.mape)}, {_percent(card.within_10_percent)} within 10%",
                f"the best of the five predicted best is {_percent(card.top_5_regret)} worse than the best",
                f"intervals of 90% hold {_percent(card.coverage)}, mean width {width}",
            ]
            curve = ", ".join(f"{point.rows} rows {_shown(point.kendall)}" for point in card.learning_curve)
            lines.append(f"Kendall's tau by training rows: {curve}")
        lines.append(card.reason if card.trustworthy else f"not trustworthy: {card.reason}")
        if self.out:
            far = f", {self.num_far} of them too far from the table to be trusted" if self.num_far else ""
            lines.append(f"{self.num_predicted} predictions: {self.out}{far}")
        return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def predict_fit(
    table: Path,
    *,
    target: str,
    features: Sequence[str],
    kind: str | None = None,
    apply: Path | None = None,
    out: Path | None = None,
    coverage: float = 0.9,
    seed: int = 0,
) -> PredictorFitted:
    """Judge a predictor by rows held out, and with `apply` write its predictions for the rows of another table.

    `kind` is `latency` for positive costs, `accuracy` for scores; by default the target's name decides. `out` gets the
    features, `predicted`, `low` and `high`, the ends of the interval, and `far`, for rows too far from those of the
    table. Raises UserError, with nothing written.
    """
    if (apply is None) != (out is None):
        raise UserError("--apply TABLE and --out FILE.parquet go together; give both or none")
    if out is not None and (out.suffix != ".parquet" or not out.absolute().parent.is_dir()):
        raise UserError(f"--out {out} must be a .parquet file in a folder that exists")
    if target in features:
        raise UserError(f"--features has the target {target}, which would predict itself; leave it out")
    kind = kind or ("latency" if COSTS.search(target) else "accuracy")
    make = partial(PREDICTORS[kind], seed=seed)
    read = read_table(Path(table))
    rows, wanted = _rows(read, features, Path(table)), _column(read, target, Path(table))
    known = [i for i, value in enumerate(wanted) if value is not None and value == value]
    rows, targets = [rows[i] for i in known], [wanted[i] for i in known]
    card = report_card(rows, targets, make, seed=seed)
    num_predicted = num_far = 0
    if apply is not None and out is not None:
        others = read_table(Path(apply))
        new = _rows(others, features, Path(apply))
        predictor = make().fit(rows, targets)
        low, high = predictor.predict_interval(new, coverage=coverage)
        far = predictor.far_from_data(new)
        columns = {"predicted": predictor.predict(new), "low": low, "high": high, "far": far}
        write_part(out, pa.table({name: others[name] for name in features} | columns))
        num_predicted, num_far = len(new), int(far.sum())
    return PredictorFitted(Path(table), target, [*features], kind, card, out, num_predicted, num_far)


def _column(table: pa.Table, name: str, path: Path) -> list[Any]:
    if name not in table.column_names:
        raise UserError(f"{path}: {name!r} is not a column; there are {', '.join(table.column_names)}")
    return table[name].to_pylist()


def _rows(table: pa.Table, features: Sequence[str], path: Path) -> list[dict[str, Any]]:
    columns = [_column(table, name, path) for name in features]
    return [dict(zip(features, values, strict=True)) for values in zip(*columns, strict=True)]

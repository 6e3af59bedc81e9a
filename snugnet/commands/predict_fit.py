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
from search_space import Architecture, UserError
from snugnet.progress import Progress
from studies.part import write_part
from studies.reading import read_table

PREDICTORS = {"latency": LatencyPredictor, "accuracy": AccuracyPredictor}

ARCHITECTURE = "architecture"
"""The column of a run's tables that holds architectures as JSON: it stands for all their choices."""

COSTS = re.compile(r"(^|_)(ms|us|s|seconds|mj|j|bytes|mb|mib|flops|macs|params|latency)$")
"""Ends of names of columns that hold a cost: positive, with errors that are shares of it."""


@dataclass(frozen=True)
class PredictorFitted:
    """A predictor's report card on a table, and where predictions for another were written."""

    table: Path
    target: str
    features: list[str]
    num_left_out: int
    kind: str
    guessed: bool
    card: ReportCard
    out: Path | None
    num_predicted: int
    num_far: int
    endless: bool

    def as_dict(self) -> dict[str, Any]:
        card = {name: None if value == float("inf") else value for name, value in self.card.as_dict().items()}
        return {
            "table": str(self.table),
            "target": self.target,
            "features": self.features,
            "num_left_out": self.num_left_out,
            "kind": self.kind,
            **card,
            "out": self.out and str(self.out),
            "num_predicted": self.num_predicted,
            "num_far": self.num_far,
        }

    def text(self) -> str:
        card = self.card
        of = f"{len(self.features)} column{'s' * (len(self.features) > 1)} of {card.rows} rows"
        as_kind = f"{self.kind}, by its name (--kind decides)" if self.guessed else self.kind
        lines = [f"{self.target} from {of}, as {as_kind}"]
        if self.num_left_out:
            lines.append(f"{self.num_left_out} rows without a number in {self.target} were left out")
        if card.kendall is not None:
            width = "-" if card.width is None or not np.isfinite(card.width) else f"{card.width:.4g}"
            lines += [
                f"held-out rows: Kendall's tau {card.kendall:.3f}, Spearman {_shown(card.spearman)}",
                f"mean relative error {_percent(card.mape)}, {_percent(card.within_10_percent)} within 10%",
                f"the best of the five predicted best is {_percent(card.top_5_regret)} worse than the best",
                f"intervals of 90% hold {_percent(card.coverage)}, mean width {width}"
                if card.coverage is not None
                else "too few rows for intervals of 90%",
            ]
            curve = ", ".join(f"{point.rows} rows {_shown(point.kendall)}" for point in card.learning_curve)
            lines.append(f"Kendall's tau by training rows: {curve}")
        lines.append(card.reason if card.trustworthy else f"not trustworthy: {card.reason}")
        if self.out:
            far = f", {self.num_far} of them too far from the table to be trusted" if self.num_far else ""
            lines.append(f"{self.num_predicted} predictions: {self.out}{far}")
        if self.endless:
            lines.append(
                "the intervals are endless: so few rows say nothing of that coverage; lower it or measure more"
            )
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

    `kind` is `latency` for positive costs, `accuracy` for scores; by default the target's name decides. A feature
    `architecture` with the JSON of a run's tables stands for all choices. `out`, a new file, gets the features,
    `predicted`, `low` and `high`, the ends of the interval, and `far`, for rows too far from those of the table. Raises
    UserError, with nothing written.
    """
    _check(target, features, apply, out, coverage, seed)
    guessed, kind = kind is None, kind or ("latency" if COSTS.search(target) else "accuracy")
    make = partial(PREDICTORS[kind], seed=seed)
    read, rows = _read(Path(table), features)
    wanted = _column(read, target, Path(table))
    others = None if apply is None else _read(Path(apply), features)
    known = [i for i, value in enumerate(wanted) if value is not None and value == value]
    for i in known:
        if not isinstance(wanted[i], int | float):
            raise UserError(f"{table}: {target} is {wanted[i]!r} in row {i}; only numbers can be predicted")
    if not known:
        raise UserError(f"{table}: no row has a number in {target}; name a column that was measured")
    num_left_out = len(rows) - len(known)
    rows, targets = [rows[i] for i in known], [wanted[i] for i in known]
    shown = Progress("fits", 0)

    def progress(done: int, total: int) -> None:
        shown.total = total
        shown(done)

    card = report_card(rows, targets, make, seed=seed, progress=progress)
    num_predicted, num_far, endless = 0, 0, False
    if others is not None and out is not None:
        given, new = others
        predictor = make().fit(rows, targets)
        low, high = predictor.predict_interval(new, coverage=coverage)
        far = predictor.far_from_data(new)
        columns = {"predicted": predictor.predict(new), "low": low, "high": high, "far": far}
        try:
            write_part(out, pa.table({name: given[name] for name in features} | columns))
        except OSError as error:
            raise UserError(f"--out {out} cannot be written: {error.strerror}") from None
        num_predicted, num_far, endless = len(new), int(far.sum()), not np.isfinite(high).all()
    return PredictorFitted(
        Path(table), target, [*features], num_left_out, kind, guessed, card, out, num_predicted, num_far, endless
    )


def _check(
    target: str, features: Sequence[str], apply: Path | None, out: Path | None, coverage: float, seed: int
) -> None:
    """Raises UserError for what can be said before a table is read."""
    if (apply is None) != (out is None):
        raise UserError("--apply TABLE and --out FILE.parquet go together; give both or none")
    if out is not None and (out.suffix != ".parquet" or not out.absolute().parent.is_dir()):
        raise UserError(f"--out {out} must be a .parquet file in a folder that exists")
    if out is not None and out.exists():
        raise UserError(f"--out {out} exists; name a new file, or remove that one")
    if target in features:
        raise UserError(f"--features has the target {target}, which would predict itself; leave it out")
    twice = [name for name in features if list(features).count(name) > 1]
    if twice:
        raise UserError(f"--features has {twice[0]} twice; give each column once")
    if not 0 < coverage < 1:
        raise UserError(f"--coverage {coverage} must lie between 0 and 1, such as 0.9")
    if seed < 0:
        raise UserError(f"--seed {seed} must be 0 or more")


def _column(table: pa.Table, name: str, path: Path) -> list[Any]:
    if name not in table.column_names:
        raise UserError(f"{path}: {name!r} is not a column; there are {', '.join(table.column_names)}")
    return table[name].to_pylist()


def _read(path: Path, features: Sequence[str]) -> tuple[pa.Table, list[dict[str, Any]]]:
    """A table, and its rows of the features."""
    table = read_table(path)
    columns = [_column(table, name, path) for name in features]
    rows = [dict(zip(features, values, strict=True)) for values in zip(*columns, strict=True)]
    of_run = ARCHITECTURE in features and all(str(row[ARCHITECTURE]).startswith("{") for row in rows)
    return table, [_flat(row) for row in rows] if of_run else rows


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """With the choices of its architecture in place of the JSON."""
    return row | Architecture.from_json(row.pop(ARCHITECTURE)).flat()

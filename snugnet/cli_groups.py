"""The groups of the command line: `snugnet study` and `snugnet predict`, most of which take any table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from snugnet.options import ExperimentFile, Json, PredictorKind, answer

study = typer.Typer(help="Scaling studies: run a grid of networks, fit a law.")
predict = typer.Typer(help="Predictors of latency and accuracy, for any table.")


@predict.command("fit", context_settings={"allow_extra_args": True})
def predict_fit(
    context: typer.Context,
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="A Parquet, CSV or JSONL file, or a folder of Parquet.")
    ],
    target: Annotated[str, typer.Option("--target", metavar="COL", help="The column that is predicted.")],
    features: Annotated[
        list[str], typer.Option("--features", metavar="COL...", help="The columns it is predicted from.")
    ],
    kind: Annotated[
        Optional[PredictorKind],  # noqa: UP045
        typer.Option(help="latency for a positive cost, accuracy for a score; the target's name decides by default."),
    ] = None,
    apply: Annotated[Optional[Path], typer.Option(metavar="TABLE", help="Predict the rows of this one.")] = None,  # noqa: UP045
    out: Annotated[Optional[Path], typer.Option(metavar="FILE.parquet", help="Where predictions go.")] = None,  # noqa: UP045
    coverage: Annotated[float, typer.Option(help="Of the intervals that are written.")] = 0.9,
    seed: Annotated[int, typer.Option(help="Of the folds.")] = 0,
    json: Json = False,
) -> None:
    """How well a column can be predicted from others, by rows held out; and predictions for another table."""
    from snugnet.commands.predict_fit import predict_fit as command

    answer(
        lambda: command(
            table,
            target=target,
            features=[*features, *context.args],
            kind=kind and kind.value,
            apply=apply,
            out=out,
            coverage=coverage,
            seed=seed,
        ),
        json,
    )


@study.command("run")
def study_run(
    experiment: ExperimentFile,
    run: Annotated[Path, typer.Option("--run", metavar="DIR", help="The folder of the study; made if absent.")],
    json: Json = False,
) -> None:
    """Train the grid of standalone networks that [studies] declares, into Parquet; continues where it stopped."""
    from snugnet.commands.study_run import study_run as command

    answer(lambda: command(experiment, run), json)


@study.command("fit")
def study_fit(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="A Parquet, CSV or JSONL file, or a folder of Parquet.")
    ],
    x: Annotated[list[str], typer.Option("--x", metavar="COL", help="A column the law is in; repeat for more.")],
    y: Annotated[str, typer.Option("--y", metavar="COL", help="The column that the law predicts.")],
    law: Annotated[
        str,
        typer.Option(
            "--law", metavar="NAME", help="power_law, power_law_floor, power_law_ceiling, additive or width_depth."
        ),
    ],
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    cluster: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="COL", help="Resample whole groups of rows that agree in this column."),
    ] = None,
    json: Json = False,
) -> None:
    """Fit a scaling law to a table: parameters with bootstrap intervals, and the error on held-out rows."""
    from snugnet.commands.study_fit import study_fit as command

    answer(lambda: command(table, x=x, y=y, law=law, seed=seed, cluster=cluster), json)

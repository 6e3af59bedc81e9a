"""The command line: what a user types. Each command imports its work only when it runs, so that --help is quick."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

app = typer.Typer(
    name="snugnet",
    help="Train one network, take out the one that fits.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
study = typer.Typer(help="Scaling studies: run a grid of networks, fit a law.")
app.add_typer(study, name="study")
predict = typer.Typer(help="Predictors of latency and accuracy, for any table.")
app.add_typer(predict, name="predict")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")]
RunFolder = Annotated[Path, typer.Argument(metavar="DIR", help="A run folder, made by snugnet train.")]
ExperimentFile = Annotated[Path, typer.Argument(metavar="EXPERIMENT.toml", help="The experiment file.")]


Components = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--component", metavar="PATH", help="A component from outside: package.module or package.Class."),
]


class Backend(StrEnum):
    """What runs a network."""

    eager = "eager"
    compiled = "compiled"
    onnxruntime = "onnxruntime"
    cuda_graph = "cuda_graph"


class Kind(StrEnum):
    """What a network runs on."""

    cpu = "cpu"
    cuda = "cuda"


class Dtype(StrEnum):
    """The numbers that a network computes with."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class PredictorKind(StrEnum):
    """What a predicted column is."""

    latency = "latency"
    accuracy = "accuracy"


class Alignment(StrEnum):
    """How a transformable search brings two widths together."""

    zeros = "zeros"
    interpolation = "interpolation"


def answer(command: Callable[[], Any], as_json: bool, *, markdown: bool = False) -> None:
    """Run a command and print its result: its `as_dict()` as JSON, its `markdown()`, or its `text()`.

    Standard output carries nothing else: what components from outside print meanwhile goes to standard error.
    """
    with contextlib.redirect_stdout(sys.stderr):
        result = command()
    if as_json:
        import json

        typer.echo(json.dumps(result.as_dict(), allow_nan=False))
    elif markdown:
        typer.echo(result.markdown(), nl=False)
    else:
        typer.echo(result.text())


@app.command()
def describe(experiment: ExperimentFile, json: Json = False) -> None:
    """Size of the space, smallest and largest architecture, parameters, FLOPs, components."""
    from snugnet.commands.describe import describe as command

    answer(lambda: command(experiment), json)


@app.command()
def train(
    experiment: ExperimentFile,
    run: Annotated[Path, typer.Option("--run", metavar="DIR", help="The folder of the run; made if absent.")],
    resume: Annotated[bool, typer.Option("--resume", help="Continue, and refuse to start anew.")] = False,
    workers: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Processes that share each batch, on Ray; without, this one trains."),
    ] = None,
    address: Annotated[str, typer.Option(help="Of the workers: 'local', or the address of a Ray cluster.")] = "local",
    json: Json = False,
) -> None:
    """Train the supernet."""
    from snugnet.commands.train import train as command

    answer(lambda: command(experiment, run, resume=resume, workers=workers, address=address), json)


@app.command()
def grow(
    experiment: ExperimentFile,
    run: Annotated[Path, typer.Option("--run", metavar="DIR", help="The folder of the run; made if absent.")],
    epochs: Annotated[Optional[int], typer.Option(min=1, help="The supernet's by default.")] = None,  # noqa: UP045
    threshold: Annotated[
        float, typer.Option(help="Grow where the score of a larger network is more than this times the present one's.")
    ] = 1.0,
    max_params: Annotated[Optional[int], typer.Option(help="Most parameters.")] = None,  # noqa: UP045
    max_flops: Annotated[Optional[int], typer.Option(help="Most FLOPs of one forward pass.")] = None,  # noqa: UP045
    json: Json = False,
) -> None:
    """Train one network that grows, from the smallest of the space; the same command again continues."""
    from snugnet.commands.grow import grow as command

    answer(
        lambda: command(
            experiment, run, epochs=epochs, threshold=threshold, max_params=max_params, max_flops=max_flops
        ),
        json,
    )


@app.command()
def search(
    run: RunFolder,
    trials: Annotated[int, typer.Option("--trials", min=1, help="Trials in all, finished ones included.")],
    address: Annotated[str, typer.Option(help="'local', or the address of a Ray cluster.")] = "local",
    json: Json = False,
) -> None:
    """Search the space on Ray Tune; the same command again continues where it stopped."""
    from snugnet.commands.search import search as command

    answer(lambda: command(run, trials=trials, address=address), json)


@app.command()
def transform(
    run: RunFolder,
    flops: Annotated[int, typer.Option("--flops", metavar="T", help="Of one forward pass of one input.")],
    tolerance: Annotated[float, typer.Option(help="How far from them the subnet may be, as a share.")] = 0.05,
    epochs: Annotated[Optional[int], typer.Option(min=1, help="By default half of what the supernet cost.")] = None,  # noqa: UP045
    alignment: Annotated[Alignment, typer.Option(help="Of two widths; interpolation is TAS's.")] = Alignment.zeros,
    json: Json = False,
) -> None:
    """Find one subnet of a FLOP target by gradients, as a trial; the same command continues where it stopped."""
    from snugnet.commands.transform import transform as command

    answer(
        lambda: command(run, flops=flops, tolerance=tolerance, epochs=epochs, alignment=alignment.value),
        json,
    )


@app.command()
def front(run: RunFolder, json: Json = False) -> None:
    """The Pareto front of the trials: a table, a picture, the hypervolume."""
    from snugnet.commands.front import front as command

    answer(lambda: command(run), json)


@app.command()
def extract(
    run: RunFolder,
    out: Annotated[Path, typer.Option("--out", metavar="SUBNET", help="A new folder for the subnet.")],
    latency_ms: Annotated[Optional[float], typer.Option(help="Highest latency, measured on this device.")] = None,  # noqa: UP045
    max_params: Annotated[Optional[int], typer.Option(help="Most parameters.")] = None,  # noqa: UP045
    max_flops: Annotated[Optional[int], typer.Option(help="Most FLOPs of one forward pass.")] = None,  # noqa: UP045
    id: Annotated[Optional[str], typer.Option(help="This architecture of the trials, and no other.")] = None,  # noqa: UP045
    json: Json = False,
) -> None:
    """Take out the most accurate subnet that measures within the budget, as safetensors, ONNX and a JSON card."""
    from snugnet.commands.extract import extract as command

    answer(lambda: command(run, out, latency_ms=latency_ms, max_params=max_params, max_flops=max_flops, id=id), json)


@app.command()
def measure(
    folder: Annotated[Path, typer.Argument(metavar="SUBNET|DIR", help="A subnet's folder, or a run's.")],
    architectures: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Of a run: how many of its architectures; a larger number later keeps these."),
    ] = None,
    kind: Annotated[Optional[Kind], typer.Option(help="What it runs on.  [default: cpu]")] = None,  # noqa: UP045
    backend: Annotated[Optional[Backend], typer.Option(help="What runs it.  [default: eager]")] = None,  # noqa: UP045
    dtype: Annotated[Optional[Dtype], typer.Option(help="Its numbers.  [default: float32]")] = None,  # noqa: UP045
    threads: Annotated[Optional[int], typer.Option(min=1, help="CPU threads.  [default: 1]")] = None,  # noqa: UP045
    batch_size: Annotated[Optional[int], typer.Option(min=1, help="Inputs at once.  [default: 1]")] = None,  # noqa: UP045
    seconds: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=0.1, help="Longest time for each network.  [default: 10; of a run .3]"),
    ] = None,
    address: Annotated[str, typer.Option(help="Of a run: 'local', or the address of a Ray cluster.")] = "local",
    on: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="NAME", help="Of a run: the Ray resource that names the worker with the device."),
    ] = None,
    component: Components = None,
    json: Json = False,
) -> None:
    """Latency, throughput, memory and energy of a subnet on this device, or of many architectures of a run.

    The defaults for a run are those of its [search.latency].
    """
    from snugnet.commands.measure import measure as command

    options = {"kind": kind, "backend": backend, "dtype": dtype, "threads": threads, "batch_size": batch_size}
    device = {name: getattr(value, "value", value) for name, value in options.items() if value is not None}
    device |= {} if seconds is None else {"max_seconds": seconds}
    answer(
        lambda: command(
            folder, device, architectures=architectures, address=address, on=on, components=component or ()
        ),
        json,
    )


@app.command()
def devices(run: RunFolder, json: Json = False) -> None:
    """The devices that a run's latencies belong to, and how well each can be measured."""
    from snugnet.commands.devices import devices as command

    answer(lambda: command(run), json)


@app.command()
def finish(
    subnet: Annotated[Path, typer.Argument(metavar="SUBNET", help="A folder made by snugnet extract.")],
    out: Annotated[Path, typer.Option("--out", metavar="NEW", help="A new folder for the finished subnet.")],
    epochs: Annotated[Optional[int], typer.Option(min=1, help="By default half of what the supernet cost.")] = None,  # noqa: UP045
    learning_rate: Annotated[Optional[float], typer.Option(help="The supernet's by default.")] = None,  # noqa: UP045
    run: Annotated[Optional[Path], typer.Option("--run", metavar="DIR", help="Its run, if moved.")] = None,  # noqa: UP045
    json: Json = False,
) -> None:
    """Train an extracted subnet further, taught by the largest of its run, and say what it gained."""
    from snugnet.commands.finish import finish as command

    answer(lambda: command(subnet, out, epochs=epochs, learning_rate=learning_rate, run=run), json)


@app.command()
def audit(
    run: RunFolder,
    architectures: Annotated[
        int, typer.Option(min=3, help="How many, stratified by FLOPs; a larger number later keeps these.")
    ] = 20,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings alone of each.")] = 1,
    epochs: Annotated[Optional[int], typer.Option(min=1, help="Of each; by default what the supernet cost.")] = None,  # noqa: UP045
    address: Annotated[str, typer.Option(help="'local', or the address of a Ray cluster.")] = "local",
    json: Json = False,
) -> None:
    """Train architectures alone, and say how far the supernet's accuracies agree; the same command continues."""
    from snugnet.commands.audit import audit as command

    answer(lambda: command(run, architectures=architectures, seeds=seeds, epochs=epochs, address=address), json)


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


@app.command()
def report(run: RunFolder, json: Json = False) -> None:
    """One self-contained HTML page: training, front, chosen subnets, predictor quality, study."""
    from snugnet.commands.report import report as command

    answer(lambda: command(run), json)


@app.command()
def catalogue(
    names: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="[NAME]...", help="Only these components, or kinds such as mixer."),
    ] = None,
    component: Components = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page of the documentation.")] = False,
    json: Json = False,
) -> None:
    """The components that exist: what they compute, when to use them, what they cost, where they come from."""
    from snugnet.commands.catalogue import catalogue as command

    answer(lambda: command(names or (), component or ()), json, markdown=markdown)

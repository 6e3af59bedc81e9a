"""The command line: what a user types. Each command imports its work only when it runs, so that --help is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from snugnet.cli_groups import predict, study
from snugnet.options import (
    Alignment,
    Backend,
    Components,
    Dtype,
    ExperimentFile,
    Json,
    Kind,
    RunFolder,
    answer,
    limits,
    refuse,
)

app = typer.Typer(
    name="snugnet",
    help="Train one network, take out the one that fits.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(study, name="study")
app.add_typer(predict, name="predict")


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


@app.command(context_settings={"allow_extra_args": True})
def search(
    context: typer.Context,
    run: Annotated[Optional[Path], typer.Argument(metavar="[DIR]", help="A run folder, made by snugnet train.")] = None,  # noqa: UP045
    trials: Annotated[int, typer.Option("--trials", min=1, help="Trials in all, finished ones included.")] = 100,
    address: Annotated[str, typer.Option(help="'local', or the address of a Ray cluster.")] = "local",
    on: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="NAME", help="The Ray resource that names the workers with the device."),
    ] = None,
    table: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="TABLE", help="Instead of a run: a finished table, whose rows are all there is to find."),
    ] = None,
    features: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--features", metavar="COL...", help="Of a table: what each row is."),
    ] = None,
    minimize: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--minimize", metavar="COL", help="Of a table: repeat for more."),
    ] = None,
    maximize: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--maximize", metavar="COL", help="Of a table: repeat for more."),
    ] = None,
    at_most: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--at-most", metavar="COL=VALUE", help="Of a table: a hard limit."),
    ] = None,
    at_least: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--at-least", metavar="COL=VALUE", help="Of a table: a hard limit."),
    ] = None,
    algorithm: Annotated[Optional[str], typer.Option(metavar="NAME", help="Of a table.  [default: guided]")] = None,  # noqa: UP045
    seed: Annotated[Optional[int], typer.Option(min=0, help="Of a table.  [default: 0]")] = None,  # noqa: UP045
    json: Json = False,
) -> None:
    """Search a run's space; the same command again continues where it stopped. Or replay a finished table."""
    if table is None:
        from snugnet.commands.search import search as command

        refuse(
            "--table",
            {"--features": features, "--minimize": minimize, "--maximize": maximize, "--at-most": at_most}
            | {"--at-least": at_least, "--algorithm": algorithm, "--seed": seed, "this": context.args or None},
        )
        if run is None:
            from search_space import UserError

            raise UserError("give the folder of a run, or --table FILE with --features and what to optimise")
        folder = run
        answer(lambda: command(folder, trials=trials, address=address, on=on), json)
        return
    refuse("a run", {"--on": on})
    from snugnet.commands.search_table import search_table

    columns = [*(features or ()), *([str(run)] if run else ()), *context.args]
    answer(
        lambda: search_table(
            table,
            features=columns,
            minimize=minimize or (),
            maximize=maximize or (),
            at_most=limits(at_most, "--at-most"),
            at_least=limits(at_least, "--at-least"),
            algorithm=algorithm or "guided",
            trials=trials,
            seed=seed or 0,
        ),
        json,
    )


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
def front(
    run: RunFolder,
    out: Annotated[Optional[Path], typer.Option("--out", metavar="FILE", help="The picture (DIR/front.png).")] = None,  # noqa: UP045
    json: Json = False,
) -> None:
    """The Pareto front of the trials: a table, a picture, the hypervolume."""
    from snugnet.commands.front import front as command

    answer(lambda: command(run, out=out), json)


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
    parts: Annotated[
        bool, typer.Option("--parts", help="Of a run: what each part of its space costs; fewer architectures will do.")
    ] = False,
    kind: Annotated[Optional[Kind], typer.Option(help="What it runs on.  [default: cpu]")] = None,  # noqa: UP045
    backend: Annotated[Optional[Backend], typer.Option(help="What runs it.  [default: eager]")] = None,  # noqa: UP045
    dtype: Annotated[Optional[Dtype], typer.Option(help="Its numbers.  [default: float32]")] = None,  # noqa: UP045
    threads: Annotated[Optional[int], typer.Option(min=1, help="CPU threads.  [default: 1]")] = None,  # noqa: UP045
    batch_size: Annotated[Optional[int], typer.Option(min=1, help="Inputs at once.  [default: 1]")] = None,  # noqa: UP045
    seconds: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=0.1, help="Limit of the timings of each network.  [default: 10; of a run 2]"),
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
            folder, device, architectures=architectures, parts=parts, address=address, on=on, components=component or ()
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


@app.command()
def report(
    run: RunFolder,
    out: Annotated[Optional[Path], typer.Option("--out", metavar="FILE", help="The page (DIR/report.html).")] = None,  # noqa: UP045
    json: Json = False,
) -> None:
    """One self-contained HTML page: training, front, chosen subnets, predictor quality, study."""
    from snugnet.commands.report import report as command

    answer(lambda: command(run, out=out), json)


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

"""What options and arguments of several commands accept, and how every command answers."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from snugnet.progress import Interrupted

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


def refuse(owner: str, options: Mapping[str, Any]) -> None:
    """Raises UserError where one of the options, which only go with `owner`, was given."""
    from search_space import UserError

    for name, value in options.items():
        if value is not None:
            raise UserError(f"{name} ({' '.join(value) if isinstance(value, list) else value}) goes with {owner} only")


def limits(given: Sequence[str] | None, option: str) -> dict[str, float]:
    """`["latency_ms=5"]` -> `{"latency_ms": 5.0}`. Raises UserError."""
    from search_space import UserError

    bounds: dict[str, float] = {}
    for text in given or ():
        name, _, bound = text.rpartition("=")
        try:
            value = float(bound)
        except ValueError:
            value = math.nan
        if not name or not math.isfinite(value):
            raise UserError(f"{option} {text} must be a column, = and a number, such as latency_ms=5")
        if name in bounds:
            raise UserError(f"{option} names {name} twice; give one bound")
        bounds[name] = value
    return bounds


def answer(command: Callable[[], Any], as_json: bool, *, markdown: bool = False) -> None:
    """Run a command and print its result: its `as_dict()` as JSON, its `markdown()`, or its `text()`.

    Standard output carries nothing else: what components from outside print meanwhile goes to standard error.
    """
    with contextlib.redirect_stdout(sys.stderr):
        try:
            result = command()
        except KeyboardInterrupt:
            raise Interrupted("interrupted; what was complete is kept, and the same command continues") from None
    if as_json:
        import json

        typer.echo(json.dumps(result.as_dict(), allow_nan=False))
    elif markdown:
        typer.echo(result.markdown(), nl=False)
    else:
        typer.echo(result.text())

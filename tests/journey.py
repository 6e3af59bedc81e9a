"""A tiny experiment on digits, and the command line called inside this process."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np

from search_space import Architecture
from snugnet import __main__
from snugnet.commands.train import train
from snugnet.run import Run

DIGITS = """
name = "tiny"
seed = 0

[data]
format = "digits"

[search_space]
stem = { patch = { stride = 2 } }
mixer = { pooling = {}, depthwise = { kernel_size = [3, 5] } }
ffn = { mlp = { expansion = [1, 2] } }

[[search_space.stages]]
width = [8, 16]
depth = [1, 2]

[supernet]
policy = "sandwich"
subnets_per_step = 3
epochs = 2
batch_size = 64
threads = 1
checkpoint_steps = 5

[search]
algorithm = "random"
objectives = ["accuracy", "latency_ms"]
constraints = ["params <= 100000"]

[search.latency]
max_seconds = 0.05

[studies]
width = [8, 16]
train_size = [64, 128, 256, 512]
num_steps = 10
"""


def run_cli(*arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of `snugnet ARGUMENTS`, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["snugnet", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            __main__.main()
        except SystemExit as exit:
            return int(exit.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


@cache
def trained_run(num_trials: int = 6) -> Path:
    """A run folder with a trained supernet and a few trials, made once for all tests; copy it before changing it."""
    folder = Path(tempfile.mkdtemp(prefix="snugnet-test-"))
    experiment = folder / "tiny.toml"
    experiment.write_text(DIGITS)
    train(experiment, folder / "run")
    run = Run.open(folder / "run")
    generator = np.random.default_rng(0)
    drawn: dict[str, Architecture] = {}
    while len(drawn) < num_trials:
        a = run.experiment.space.sample(generator)
        drawn[a.id] = a
    rows = run.evaluator(list(drawn.values()))
    run.keep_trials(
        [
            {"trial": i, "id": a.id, "architecture": a.to_json(), "algorithm": "random", "seed": 0, **row}
            for i, (a, row) in enumerate(zip(drawn.values(), rows, strict=True))
        ]
    )
    return folder / "run"

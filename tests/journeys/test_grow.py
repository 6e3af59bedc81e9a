"""`snugnet grow` on digits: a network that grows, its sizes as runs of their own, and interruptions without a trace."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import snugnet
from search_space import Architecture
from snugnet.commands.grow import SIZES, Grown, grow
from snugnet.evaluator import quality_of
from snugnet.logs import Watch
from snugnet.run import Run
from studies.table import Table
from supernet.checkpoint import load_tensors
from supernet.cost import cost
from tests.journey import DIGITS, run_cli

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("grow")]

EXPERIMENT = DIGITS.replace('policy = "sandwich"', 'policy = "sandwich"\nema_decay = 0.9\nlabel_smoothing = 0.1')


def call(*arguments: str) -> dict[str, Any]:
    status, out, err = run_cli(*arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def written(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "tiny.toml").write_text(EXPERIMENT)
    return str(folder / "tiny.toml")


@cache
def grown() -> Path:
    """A run that has grown without interruption; copy it before changing it."""
    folder = Path(tempfile.mkdtemp(prefix="snugnet-test-"))
    call("grow", written(folder), "--run", str(folder / "run"))
    return folder / "run"


def same_growth(a: Path, b: Path) -> bool:
    """Rows but for their CPU time, weights of every size and of the end, and history but for its times."""
    found = []
    for folder in (a, b):
        rows = Table(folder / "grown", SIZES).rows()
        files = [folder / "growing.safetensors", *(folder / "sizes" / r["id"] / "supernet.safetensors" for r in rows)]
        read = [load_tensors(path) for path in files]
        found.append(
            (
                [{**row, "cpu_seconds": None} for row in rows],
                [{name: tensor.tolist() for name, tensor in tensors.items()} for tensors, _ in read],
                [[{**row, "seconds": 0, "cpu_seconds": 0} for row in data["history"]] for _, data in read],
            )
        )
    return bool(found[0] == found[1])


def test_the_sizes_rise_and_each_is_a_run_that_the_other_commands_take(tmp_path: Path) -> None:
    again = call("grow", written(tmp_path), "--run", str(grown()))
    sizes, run = again["sizes"], Run.open(Path(again["sizes"][0]["run"]))
    assert len(sizes) > 2
    assert Architecture.from_json(sizes[0]["architecture"]) == run.experiment.space.smallest()
    for row, larger in pairwise(sizes):
        steps = run.experiment.space.one_step_larger(Architecture.from_json(row["architecture"]))
        assert steps[row["grew_by"]].id == larger["id"]
        assert row["step"] < larger["step"] and row["cpu_seconds"] < larger["cpu_seconds"]
        assert row["params"] < larger["params"] and row["score"] > 1
    assert sizes[-1]["step"] == again["num_steps"] and sizes[-1]["grew_by"] is None
    for number, row in enumerate((sizes[0], sizes[-1])):
        size, out = Run.open(Path(row["run"])), tmp_path / f"subnet-{number}"
        (trial,) = size.trials.rows()
        assert (trial["id"], trial["supernet"], trial["accuracy"]) == (row["id"], size.supernet_hash, row["accuracy"])
        assert row["supernet"] == size.supernet_hash
        card = call("extract", row["run"], "--out", str(out))
        assert card["id"] == row["id"]
        quality = quality_of(snugnet.load_subnet(out), run.data.search)
        assert quality.accuracy == row["accuracy"] and quality.loss_nats == pytest.approx(row["loss_nats"])
        assert call("measure", str(out), "--seconds", "0.2")["id"] == row["id"]
    finished = call("finish", str(tmp_path / "subnet-0"), "--out", str(tmp_path / "finished"), "--epochs", "1")
    assert finished["finished"]["teacher"]["id"] == sizes[0]["id"]
    refused = run_cli("train", written(tmp_path), "--run", sizes[0]["run"], "--resume")
    assert refused[0] == 2 and "belongs to another experiment" in refused[2]


@pytest.mark.parametrize("step", [3, 13, *(pytest.param(step, marks=pytest.mark.thorough) for step in (10, 38))])
def test_a_killed_run_continues_to_the_same_bits(tmp_path: Path, step: int) -> None:
    """Killed in a step without a checkpoint: after growth, before it, and at the end."""
    shown = Watch.__call__

    def killed(watch: Watch, reached: int, *rest: Any) -> None:
        if reached == step:
            raise SystemExit(9)
        shown(watch, reached, *rest)

    experiment, folder = written(tmp_path), tmp_path / "run"
    with mock.patch.object(Watch, "__call__", killed), pytest.raises(SystemExit):
        grow(Path(experiment), folder)
    call("grow", experiment, "--run", str(folder))
    assert same_growth(folder, grown())


def test_a_run_killed_between_a_size_and_the_next_checkpoint_meets_that_size_again(tmp_path: Path) -> None:
    experiment, folder, appended = written(tmp_path), tmp_path / "run", Table.append

    def killed(table: Table, rows: Any) -> None:
        appended(table, rows)
        if len(table) == 2:
            raise SystemExit(9)

    with mock.patch.object(Table, "append", killed), pytest.raises(SystemExit):
        grow(Path(experiment), folder)
    call("grow", experiment, "--run", str(folder))
    assert same_growth(folder, grown())


def test_an_interruption_says_how_to_go_on_and_changes_nothing(tmp_path: Path) -> None:
    experiment, folder = written(tmp_path), tmp_path / "run"
    command = [sys.executable, "-m", "snugnet", "grow", experiment, "--run", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "training: " not in (line := process.stderr.readline()):
            assert line, "it ended before it began"
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 1
    assert "of 38, which is saved; the same command continues" in rest.splitlines()[-1] and "Traceback" not in rest
    call("grow", experiment, "--run", str(folder))
    assert same_growth(folder, grown())


def test_it_stays_within_the_budget_and_below_the_threshold(tmp_path: Path) -> None:
    experiment = written(tmp_path)
    run = Run.open(next((grown() / "sizes").iterdir()))
    limit = cost(run.experiment.space.smallest(), run.task).params + 300
    within = grow(Path(experiment), tmp_path / "within", max_params=limit)
    assert len(within.sizes) > 1 and within.sizes[-1]["params"] <= limit
    assert [row["params"] for row in grow(Path(experiment), tmp_path / "never", threshold=1e9).sizes] == [
        within.sizes[0]["params"]
    ]


def test_what_it_cannot_use_is_refused_with_nothing_written(tmp_path: Path) -> None:
    experiment, new = written(tmp_path), tmp_path / "new"
    for options, message in (
        (("--threshold", "0"), "--threshold 0.0 must be a number above 0"),
        (("--threshold", "nan"), "--threshold nan must be a number above 0"),
        (("--epochs", "0"), "Invalid value for '--epochs'"),
        (("--max-params", "10"), "ask for at least that with --max-params and --max-flops"),
        (("--max-flops", "0"), "--max-flops 0 must be a number above 0"),
    ):
        status, out, err = run_cli("grow", experiment, "--run", str(new), *options)
        assert (status, out) == (2, "") and message in err and err.count("\n") == 1
    assert not new.exists()
    before = sorted(path.stat().st_mtime_ns for path in grown().rglob("*"))
    for command in ("search", "front", "report", "audit"):
        status, out, err = run_cli(command, str(grown()), *(["--trials", "1"] if command == "search" else []))
        assert (status, out) == (2, "") and f"each of its sizes is a run: {grown()}/sizes/ID" in err
    size = next((grown() / "sizes").iterdir())
    status, out, err = run_cli("transform", str(size), "--flops", "100000")
    assert (status, out) == (2, "") and "is one size of a network that grew" in err
    status, out, err = run_cli("grow", experiment, "--run", str(grown()), "--threshold", "1.5")
    assert (status, out) == (2, "") and "belongs to another experiment or other options" in err
    assert sorted(path.stat().st_mtime_ns for path in grown().rglob("*")) == before


def test_the_text_is_a_table_of_the_sizes() -> None:
    rows = Table(grown() / "grown", SIZES).rows()
    lines = Grown(grown(), 38, rows).text().splitlines()
    assert len(lines) == len(rows) + 4
    assert all(row["id"] in line and (row["grew_by"] or "") in line for row, line in zip(rows, lines[1:], strict=False))
    assert lines[-1] == f"next: snugnet extract {grown() / 'sizes' / rows[-1]['id']} --out SUBNET"

"""`snugnet finish` on digits: an extracted subnet, folded parts and batch norms included, trained further."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

import snugnet
from snugnet.commands.finish import verdict
from snugnet.commands.train import train
from snugnet.intervals import Interval, gain
from snugnet.run import Run
from supernet.data import in_order
from supernet.network import Network
from tests.journey import DIGITS, run_cli

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("finish")]

FOLDED = DIGITS.replace("pooling = {}, depthwise = { kernel_size = [3, 5] }", "large_kernel = { kernel_size = [7, 9] }")
FOLDED = FOLDED.replace("[search_space]", '[search_space]\nnorm = "batch"').replace(
    "[1, 2]\n\n[supernet]", "1\n\n[supernet]"
)


@cache
def extracted() -> tuple[Path, Path]:
    """A run of batch norms and kernels that fold, and a subnet out of it; copy both before changing them."""
    folder = Path(tempfile.mkdtemp(prefix="snugnet-test-"))
    (folder / "folded.toml").write_text(FOLDED)
    train(folder / "folded.toml", folder / "run")
    run = Run.open(folder / "run")
    architectures = [run.experiment.space.largest(), run.experiment.space.smallest()]
    rows = [
        {"trial": i, "id": a.id, "architecture": a.to_json(), "algorithm": "random", "seed": 0, **row}
        for i, (a, row) in enumerate(zip(architectures, run.evaluator(architectures), strict=True))
    ]
    run.keep_trials(rows)
    call("extract", str(folder / "run"), "--id", architectures[1].id, "--out", str(folder / "subnet"))
    return folder / "run", folder / "subnet"


def copied(folder: Path) -> tuple[Path, Path]:
    return tuple(Path(shutil.copytree(path, folder / path.name)) for path in extracted())  # type: ignore[return-value]


def call(*arguments: str) -> dict[str, Any]:
    status, out, err = run_cli(*arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def right(network: Network, run: Run) -> NDArray[np.bool_]:
    with torch.no_grad():
        return np.concatenate([(network(x).argmax(1) == y).numpy() for x, y in in_order(run.data.search, 64)])


def test_a_finished_subnet_is_a_subnet_and_its_card_says_what_it_gained(tmp_path: Path) -> None:
    folder, subnet = copied(tmp_path)
    new, run = tmp_path / "new", Run.open(folder)
    ledger = len(run.report_ledger.read_text().splitlines())
    card = call("finish", str(subnet), "--out", str(new), "--epochs", "3", "--learning-rate", "0.01")
    assert card["folded"]
    assert sorted(path.name for path in new.iterdir()) == ["card.json", "model.onnx", "model.safetensors"]
    before, after = snugnet.load_subnet(subnet), snugnet.load_subnet(new)
    pair = right(before, run), right(after, run)
    assert card["finished"]["gain"] == gain(*pair).as_dict()
    assert card["finished"]["won"] - card["finished"]["lost"] == pair[1].sum() - pair[0].sum() > 0
    assert card["measured"]["search_accuracy"]["value"] == pytest.approx(pair[1].mean())
    assert card["finished"]["before"]["search_accuracy"]["value"] == pytest.approx(pair[0].mean())
    session = onnxruntime.InferenceSession(new / "model.onnx", providers=["CPUExecutionProvider"])
    x = next(in_order(run.data.search, 32))[0]
    assert np.abs(after(x).detach().numpy() - session.run(None, {"input": x.numpy()})[0]).max() < 1e-4
    lines = [json.loads(line) for line in run.report_ledger.read_text().splitlines()]
    assert [line["event"] for line in lines[ledger:]] == ["opened", "read"]
    assert call("measure", str(new), "--seconds", "0.2")["id"] == card["id"]
    refused = run_cli("finish", str(new), "--out", str(tmp_path / "again"))
    assert refused[0] == 2 and "is finished already" in refused[2]


def test_the_same_command_gives_the_same_weights_and_reads_the_report_split_once(tmp_path: Path) -> None:
    _, subnet = copied(tmp_path)
    cards = [call("finish", str(subnet), "--out", str(tmp_path / name), "--epochs", "1") for name in ("a", "b")]
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()
    assert cards[0]["report_split"] == cards[1]["report_split"] == {"subnets_tried": 2, "attempts": 1}


def test_the_run_is_found_beside_the_subnet_or_named(tmp_path: Path) -> None:
    run, subnet = copied(tmp_path)
    moved = run.rename(tmp_path / "moved")
    out = tmp_path / "new"
    status, _, err = run_cli("finish", str(subnet), "--out", str(out))
    assert status == 2 and err.count("\n") == 1
    assert f"is no longer at {run}; name its folder: --run DIR" in err
    card = call("finish", str(subnet), "--out", str(out), "--epochs", "1", "--run", str(moved))
    assert card["parent"]["run"] == "../moved"


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    run, subnet = copied(tmp_path)
    ledger = (run / "report_split.jsonl").read_bytes()
    command = [
        sys.executable,
        "-m",
        "snugnet",
        "finish",
        str(subnet),
        "--out",
        str(tmp_path / "new"),
        "--epochs",
        "5000",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "finishing: " not in (line := process.stderr.readline()):
            assert line, "it ended before it began"
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 1
    assert rest.splitlines()[-1] == f"snugnet: interrupted; {tmp_path}/new is not written" and "Traceback" not in rest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "subnet"]
    assert (run / "report_split.jsonl").read_bytes() == ledger


def test_it_is_worth_it_where_the_whole_interval_is_above_zero() -> None:
    assert verdict(Interval(0.02, 0.001, 0.04)).startswith("Worth it")
    assert verdict(Interval(0.02, 0.0, 0.04)).startswith("Not shown to be worth it")
    assert verdict(Interval(-0.02, -0.04, -0.001)).startswith("Not worth it")

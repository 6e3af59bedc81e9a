"""`snugnet audit` on digits, on a local Ray: what it trains, what it says, and what a kill leaves."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau

from search_space import Architecture
from snugnet.alone import train_alone
from snugnet.commands.train import train
from snugnet.compute import compute
from snugnet.evaluator import inherited, quality_of
from snugnet.pairs import PAIRS
from snugnet.run import Run
from studies.table import Table
from supernet.cost import cost
from supernet.settings import TrainingSettings
from tests.journey import DIGITS, run_cli, trained_run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("audit")]


@pytest.fixture(scope="module")
def run(ray: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an audit of three architectures and the largest."""
    folder = Path(shutil.copytree(trained_run(), tmp_path_factory.mktemp("audit") / "run"))
    audit(folder, "--architectures", "3")
    return folder


@pytest.fixture(scope="module")
def extended(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with five."""
    folder = Path(shutil.copytree(run, tmp_path_factory.mktemp("extended") / "run"))
    assert len(audit(folder, "--architectures", "5")["architectures"]) == 5
    return folder


def audit(folder: Path, *options: str) -> dict[str, Any]:
    status, out, err = run_cli("audit", str(folder), *options, "--json")
    assert status == 0, err
    return json.loads(out)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return Table(folder / "audit", PAIRS).rows()


def test_each_row_is_what_one_would_train_by_hand(run: Path) -> None:
    rows, opened = rows_of(run), Run.open(run)
    assert len({row["id"] for row in rows}) == len(rows) == 4
    for row in rows[:2]:
        architecture = Architecture.from_json(row["architecture"])
        shared = quality_of(inherited(opened.supernet, architecture, opened.data.train), opened.data.search)
        assert (row["inherited"], row["inherited_loss_nats"]) == (shared.accuracy, shared.loss_nats)
        alone = train_alone(architecture, opened.data, opened.experiment.supernet, row["num_steps"], row["seed"])
        quality = quality_of(alone.network, opened.data.search)
        assert (row["alone"], row["alone_loss_nats"]) == (quality.accuracy, quality.loss_nats)
    assert all(row["num_steps"] == opened.checkpoint[1]["num_steps"] for row in rows)


def test_the_report_is_about_the_table(run: Path) -> None:
    found, rows = audit(run, "--architectures", "3"), {row["id"]: row for row in rows_of(run)}
    own = [rows[one["id"]] for one in found["architectures"]]
    gaps = [100 * (row["alone"] - row["inherited"]) for row in own]
    assert [one["gap"] for one in found["architectures"]] == pytest.approx(gaps)
    assert (found["mean_gap"]["value"], found["worst_gap"]) == pytest.approx((np.mean(gaps), max(gaps)))
    tau = kendalltau([row["inherited"] for row in own], [row["alone"] for row in own]).statistic
    assert found["kendall"]["value"] == pytest.approx(tau)
    assert found["trusted"] == (found["kendall"]["low"] >= 0.5)
    largest = rows[Run.open(run).experiment.space.largest().id]
    seconds = Run.open(run).checkpoint[1]["history"][-1]["seconds"]
    if not found["compute"]["of_cpu"]:
        assert found["compute"]["ratio"] == pytest.approx(seconds / largest["train_seconds"])
    assert Path(found["picture"]).read_bytes().startswith(b"\x89PNG")
    status, out, err = run_cli("audit", str(run), "--architectures", "3")
    assert status == 0, err
    assert "no training has seen" in out and out.splitlines()[-1].startswith("The ranking ")


def test_compute_is_of_the_cpu_where_both_recorded_it() -> None:
    plain = TrainingSettings()
    of_wall = compute({"seconds": 6.0}, {"train_seconds": 2.0, "train_cpu_seconds": None}, plain)
    assert (of_wall.ratio, of_wall.of_cpu) == (3.0, False) and "other work" in of_wall.text()
    both = compute({"seconds": 6.0, "cpu_seconds": 5.0}, {"train_seconds": 9.0, "train_cpu_seconds": 2.0}, plain)
    assert (both.ratio, both.of_cpu) == (2.5, True)


@pytest.mark.thorough
def test_compute_says_that_a_start_and_a_teacher_are_not_counted(run: Path, tmp_path: Path) -> None:
    assert audit(run, "--architectures", "3")["compute"]["not_counted"] == []
    named = f'[supernet]\nstart = "{run}"\nteacher = "{run}"'
    (tmp_path / "second.toml").write_text(DIGITS.replace("[supernet]", named))
    train(tmp_path / "second.toml", tmp_path / "second")
    found = audit(tmp_path / "second", "--architectures", "3", "--epochs", "1")
    assert found["compute"]["not_counted"] == ["start", "teacher"]
    status, out, err = run_cli("audit", str(tmp_path / "second"), "--architectures", "3", "--epochs", "1")
    assert status == 0, err
    assert out.count("not counted: what training the supernet's start and teacher has cost\n") == 1


@pytest.mark.thorough
def test_more_architectures_keep_those_that_are_trained(run: Path, extended: Path) -> None:
    before, after = rows_of(run), rows_of(extended)
    assert len(after) == 6
    assert [row for row in after if row in before] == before


def test_other_weights_are_kept_apart(run: Path, tmp_path: Path) -> None:
    folder, first = Path(shutil.copytree(run, tmp_path / "run")), audit(run, "--architectures", "3")
    Table(folder / "audit", PAIRS).append([{**row, "supernet": "of another", "alone": 1.0} for row in rows_of(run)])
    second = audit(folder, "--architectures", "3")
    assert (first["left_aside"], second["left_aside"]) == (0, 4)
    assert second["architectures"] == first["architectures"]


def test_without_epochs_the_largest_costs_what_the_supernet_did(run: Path) -> None:
    opened = Run.open(run)
    space, generator = opened.experiment.space, np.random.default_rng(1)

    def flops(architecture: Architecture) -> int:
        return cost(architecture, opened.task).flops

    subnets = (draw(generator) for draw in (space.largest, space.smallest, space.sample) for _ in range(100))
    sandwich = sum(map(flops, subnets)) / 100 / flops(space.largest())
    longer = dataclasses.replace(opened.experiment, supernet=dataclasses.replace(opened.experiment.supernet, epochs=50))
    assert dataclasses.replace(opened, experiment=longer).epochs_alone == pytest.approx(50 * sandwich, rel=0.05)
    assert 50 * sandwich > 55
    assert audit(run, "--architectures", "3")["epochs"] == opened.epochs_alone


@pytest.mark.thorough
def test_other_epochs_are_kept_apart(run: Path, tmp_path: Path) -> None:
    folder, first = Path(shutil.copytree(run, tmp_path / "run")), audit(run, "--architectures", "3")
    shorter = audit(folder, "--architectures", "3", "--epochs", "1")
    assert (shorter["epochs"], shorter["left_aside"]) == (1, 4)
    assert sorted(row["num_steps"] for row in rows_of(folder)) == [19] * 4 + [38] * 4
    assert audit(folder, "--architectures", "3")["architectures"] == first["architectures"]


@pytest.mark.thorough
def test_seeds_are_trained_apart_and_averaged(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    found = audit(folder, "--architectures", "3", "--seeds", "2")
    rows = {(row["id"], row["seed"]): row["alone"] for row in rows_of(folder)}
    assert len(rows) == 7
    for one in found["architectures"]:
        assert one["by_seed"] == [rows[one["id"], 0], rows[one["id"], 1]]
        assert one["alone"] == pytest.approx(np.mean(one["by_seed"]))
    assert any(one["by_seed"][0] != one["by_seed"][1] for one in found["architectures"])


@pytest.mark.thorough
def test_an_architecture_that_cannot_be_trained_is_left_out_and_said(extended: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(extended, tmp_path / "run"))
    shutil.rmtree(folder / "audit")
    failed = {one["id"] for one in audit(extended, "--architectures", "5")["architectures"][:2]}
    nothing = {"alone": None, "error": "Traceback\nit diverged"}
    Table(folder / "audit", PAIRS).append([row | (nothing if row["id"] in failed else {}) for row in rows_of(extended)])
    found = audit(folder, "--architectures", "5")
    assert (found["failed"], len(found["architectures"])) == (2, 3)
    status, out, err = run_cli("audit", str(folder), "--architectures", "3")
    assert (status, out) == (2, "")
    assert "only 1 of 3 architectures could be trained alone: it diverged" in err


@pytest.mark.thorough
def test_a_killed_audit_loses_only_what_was_in_flight(ray: None, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained_run(), tmp_path / "run"))
    command = [sys.executable, "-m", "snugnet", "audit", str(folder), "--architectures", "4", "--epochs", "8"]
    with (tmp_path / "log.txt").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(rows_of(folder)) < 1 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = rows_of(folder)
    assert 1 <= len(before) < 5, (tmp_path / "log.txt").read_text()
    found = audit(folder, "--architectures", "4", "--epochs", "8")
    after = rows_of(folder)
    assert len(found["architectures"]) == 4 and len(after) == 5
    assert [row for row in after if row in before] == before

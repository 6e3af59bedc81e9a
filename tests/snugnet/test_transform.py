"""`snugnet transform` on digits: an ordinary trial of a FLOP target, from weights that stay as they are."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from search_space import Architecture
from snugnet.commands.transform import ALGORITHM
from snugnet.evaluator import inherited, quality_of
from snugnet.run import Run
from supernet.cost import cost
from supernet.transformable.search import Transformation
from tests.journey import run_cli, trained_run

pytestmark = pytest.mark.xdist_group("transform")


def copied_run(folder: Path) -> Path:
    return Path(shutil.copytree(trained_run(), folder / "run"))


def call(*arguments: str) -> dict[str, Any]:
    status, out, err = run_cli(*arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def target_of(folder: Path) -> str:
    """Between the smallest and the largest."""
    run = Run.open(folder)
    smallest, largest = (
        cost(a, run.task).flops for a in (run.experiment.space.smallest(), run.experiment.space.largest())
    )
    return str((smallest + largest) // 2)


def test_it_adds_an_ordinary_trial_of_the_target_and_leaves_the_supernet_alone(tmp_path: Path) -> None:
    folder = copied_run(tmp_path)
    weights, target = (folder / "supernet.safetensors").read_bytes(), target_of(folder)
    before = Run.open(folder).trials.rows()
    found = call("transform", str(folder), "--flops", target, "--epochs", "2")
    assert (folder / "supernet.safetensors").read_bytes() == weights
    run = Run.open(folder)
    *others, row = run.trials.rows()
    assert others == before and row["trial"] == len(before) and row["algorithm"] == "transformable"
    assert {name: row[name] for name in ("id", "trial", "accuracy", "flops", "params")}.items() <= found.items()
    architecture = Architecture.from_json(row["architecture"])
    assert architecture in run.experiment.space and architecture.id == row["id"]
    assert row["flops"] == cost(architecture, run.task).flops
    assert found["within_tolerance"] and abs(row["flops"] / (int(target)) - 1) <= 0.05
    quality = quality_of(inherited(run.supernet, architecture, run.data.train), run.data.search)
    assert (row["accuracy"], row["loss_nats"]) == (quality.accuracy, quality.loss_nats)
    assert all(sum(each.values()) == pytest.approx(1) for each in found["probabilities"].values())
    assert set(found["probabilities"]["stages.0.blocks.1.mixer"]) == {
        "pooling",
        "depthwise kernel_size=3",
        "depthwise kernel_size=5",
    }
    assert call("transform", str(folder), "--flops", target, "--epochs", "2") == found
    assert Run.open(folder).trials.rows() == [*before, row]


def test_the_rows_that_judge_architectures_and_the_report_rows_take_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights learn from the first half of the training rows, logits from the other."""
    folder = copied_run(tmp_path)
    seen: dict[str, set[bytes]] = {}

    def watched(name: str) -> Any:
        update, rows = getattr(Transformation, name), seen.setdefault(name, set())

        def keep(self: Transformation, x: Any, labels: Any) -> None:
            rows.update(row.numpy().tobytes() for row in x)
            update(self, x, labels)

        return keep

    for name in ("update_weights", "update_logits"):
        monkeypatch.setattr(Transformation, name, watched(name))
    call("transform", str(folder), "--flops", target_of(folder), "--epochs", "1")
    train = Run.open(folder).data.train
    rows = [row.numpy().tobytes() for row in train.normalised(train.images)]
    half = len(rows) // 2
    assert seen["update_weights"] and seen["update_weights"] <= set(rows[:half])
    assert seen["update_logits"] and seen["update_logits"] <= set(rows[half:])


def test_an_interrupted_search_continues_to_the_same_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, part = copied_run(tmp_path), Path(shutil.copytree(trained_run(), tmp_path / "part"))
    asked = ("--flops", target_of(whole), "--epochs", "2")
    expected = call("transform", str(whole), *asked)
    update = Transformation.update_logits

    def interrupted(self: Transformation, *batch: Any) -> None:
        update(self, *batch)
        if self.step == 6:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Transformation, "update_logits", interrupted)
    status, out, err = run_cli("transform", str(part), *asked)
    assert (status, out) == (1, "")
    assert "interrupted at step 7 of 18, which is saved; the same command continues" in err.splitlines()[-1]
    assert len(Run.open(part).trials.rows()) == 6
    monkeypatch.undo()
    resumed = call("transform", str(part), *asked)
    for name in ("id", "trial", "accuracy", "flops", "probabilities"):
        assert resumed[name] == expected[name]


@pytest.mark.slow
def test_the_trial_is_searched_on_from_extracted_and_finished(tmp_path: Path) -> None:
    folder = copied_run(tmp_path)
    status, out, err = run_cli("transform", str(folder), "--flops", target_of(folder), "--tolerance", "0.1")
    assert status == 0 and "transforming: " in err
    id = out.split(":")[0]
    assert f"next: snugnet extract {folder} --id {id} --out SUBNET" in out
    assert call("search", str(folder), "--trials", "9")["num_trials"] == 9
    assert run_cli("front", str(folder))[0] == 0
    card = call("extract", str(folder), "--id", id, "--out", str(tmp_path / "subnet"))
    assert card["id"] == id
    assert call("finish", str(tmp_path / "subnet"), "--out", str(tmp_path / "new"), "--epochs", "1")["id"] == id


@pytest.mark.slow
@pytest.mark.thorough
def test_a_killed_search_continues_from_its_checkpoint(tmp_path: Path) -> None:
    folder = copied_run(tmp_path)
    arguments = ["transform", str(folder), "--flops", target_of(folder), "--epochs", "4"]
    with subprocess.Popen([sys.executable, "-m", "snugnet", *arguments]) as process:
        while not list((folder / "transform").glob("*.safetensors")):
            assert process.poll() is None, "it ended before it wrote a checkpoint"
        process.kill()
    assert len(Run.open(folder).trials.rows()) == 6
    assert call(*arguments)["num_steps"] == 36
    assert len(Run.open(folder).trials.rows()) == 7
    assert Run.open(folder).trials.rows()[-1]["algorithm"] == ALGORITHM

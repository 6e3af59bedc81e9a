"""A start that an experiment names: found, checked, part of the run's identity, and what the first weights compute."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from search_space import UserError
from snugnet.commands.extract import extract
from snugnet.commands.train import prepare, train
from snugnet.experiment import read_experiment
from snugnet.run import Run
from snugnet.subnet import load_subnet
from supernet.checkpoint import content_hash
from supernet.data import in_order
from tests.journey import DIGITS, trained_run


def prepared(folder: Path, start: str, old: str = "", new: str = "") -> Run:
    path = folder / "second.toml"
    path.write_text(DIGITS.replace(old, new, 1).replace("[supernet]", f'[supernet]\nstart = "{start}"'))
    return Run.of(read_experiment(path), folder / "second")


def parent(folder: Path) -> Run:
    shutil.copytree(trained_run(), folder / "parent")
    return Run.open(folder / "parent")


def test_a_supernet_starts_with_the_function_of_another_runs_largest(tmp_path: Path) -> None:
    other, run = parent(tmp_path), prepared(tmp_path, "parent")
    training, largest = prepare(run), other.experiment.space.largest()
    trained = other.supernet.extract(largest)
    x, _ = next(iter(in_order(run.data.search, 64)))
    with torch.no_grad():
        torch.testing.assert_close(training.supernet(x, largest), trained(x), rtol=1e-4, atol=1e-4)
    assert training.identity["start"] == content_hash(dict(trained.named_parameters()))
    assert not torch.equal(training.supernet.weights["head/weight"], other.supernet.weights["head/weight"])


@pytest.mark.slow
def test_a_run_goes_on_from_its_own_weights_and_belongs_to_its_start(tmp_path: Path) -> None:
    smallest = min(parent(tmp_path).trials.rows(), key=lambda row: row["params"])
    extract(tmp_path / "parent", tmp_path / "subnet", id=smallest["id"])
    run = prepared(tmp_path, "subnet")
    weights = dict(load_subnet(tmp_path / "subnet").named_parameters())
    assert prepare(run).identity["start"] == content_hash(weights)
    finished = train(tmp_path / "second.toml", run.folder)
    assert content_hash(prepare(run).weights()) == finished.supernet
    shutil.rmtree(tmp_path / "subnet")
    shutil.copytree(tmp_path / "parent", tmp_path / "subnet")
    with pytest.raises(UserError, match="belongs to another experiment"):
        prepare(run)
    shutil.rmtree(tmp_path / "subnet")
    assert content_hash(prepare(run).weights()) == finished.supernet


def test_what_cannot_be_started_from_is_refused_in_one_line(tmp_path: Path) -> None:
    parent(tmp_path)
    with pytest.raises(UserError, match=r"^supernet\.start='nowhere': .*nowhere is not a folder; name a run's"):
        prepare(prepared(tmp_path, "nowhere"))
    with pytest.raises(UserError, match=r"^supernet\.start='parent': it was trained on other data or another split"):
        prepare(prepared(tmp_path, "parent", 'format = "digits"', 'format = "digits"\nseed = 1'))
    with pytest.raises(UserError, match=r"^supernet\.start='parent': .*width=16 is not one of \(8, 12\)"):
        prepare(prepared(tmp_path, "parent", "width = [8, 16]", "width = [8, 12]"))

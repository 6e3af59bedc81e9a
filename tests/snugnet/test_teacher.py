"""A teacher that an experiment names: found, checked, part of the run's identity, and learnt from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from search_space import UserError
from snugnet.commands.extract import extract
from snugnet.commands.train import prepare, teacher_of, train
from snugnet.experiment import read_experiment
from snugnet.run import Run
from snugnet.subnet import load_subnet
from supernet.checkpoint import content_hash, load_tensors
from supernet.settings import HINTS
from tests.journey import DIGITS, run_cli, trained_run


def experiment(folder: Path, teacher: str, old: str = "", new: str = "") -> Path:
    path = folder / "pupil.toml"
    path.write_text(DIGITS.replace(old, new, 1).replace("[supernet]", f'[supernet]\nteacher = "{teacher}"'))
    return path


def run_of(path: Path) -> Run:
    return Run.of(read_experiment(path), path.parent / "pupil")


def parent(folder: Path) -> Run:
    shutil.copytree(trained_run(), folder / "parent")
    return Run.open(folder / "parent")


def test_a_run_teaches_with_its_largest_architecture(tmp_path: Path) -> None:
    run = parent(tmp_path)
    found = teacher_of(run_of(experiment(tmp_path, "parent")))
    assert found is not None
    expected = run.supernet.extract(run.experiment.space.largest())
    assert content_hash(found.state_dict()) == content_hash(expected.state_dict())


@pytest.mark.slow
def test_a_subnet_teaches_and_the_run_belongs_to_its_weights(tmp_path: Path) -> None:
    smallest = min(parent(tmp_path).trials.rows(), key=lambda row: row["params"])
    extract(tmp_path / "parent", tmp_path / "subnet", id=smallest["id"])
    path = experiment(tmp_path, "subnet", "epochs = 2", "epochs = 1")
    training = prepare(run_of(path))
    assert training.teacher is not None
    weights = content_hash(load_subnet(tmp_path / "subnet").state_dict())
    assert content_hash(training.teacher.state_dict()) == training.identity["teacher"] == weights
    untaught = path.with_name("untaught.toml")
    untaught.write_text(DIGITS.replace("epochs = 2", "epochs = 1"))
    assert train(path, tmp_path / "pupil").supernet != train(untaught, tmp_path / "alone").supernet
    assert load_tensors(tmp_path / "pupil" / "supernet.safetensors")[1]["identity"]["teacher"] == weights

    shutil.rmtree(tmp_path / "subnet")
    shutil.copytree(tmp_path / "parent", tmp_path / "subnet")
    with pytest.raises(UserError, match="belongs to another experiment"):
        prepare(run_of(path))
    shutil.rmtree(tmp_path / "subnet")
    assert prepare(run_of(path)).complete  # nobody is taught any more


TWO_STAGES = DIGITS.replace(
    "[supernet]",
    """[[search_space.stages]]
width = 16
depth = 1
downsample = { patch = { stride = 2 } }

[supernet]
""",
)


@pytest.mark.slow
def test_the_stages_of_a_run_teach_and_a_run_of_other_stages_is_refused(tmp_path: Path) -> None:
    """As a user types it: other widths teach, nothing of the hints is left behind, and bad input writes nothing."""
    parent(tmp_path)
    path, hints = tmp_path / "pupil.toml", "\n".join(f"{name} = 0.5" for name in HINTS)
    text = DIGITS.replace("[supernet]", f'[supernet]\nteacher = "parent"\n{hints}')
    path.write_text(text.replace("width = [8, 16]", "width = [4, 8]", 1))
    status, out, err = run_cli("train", str(path), "--run", str(tmp_path / "pupil"))
    assert status == 0, err
    stored = load_tensors(tmp_path / "pupil" / "supernet.safetensors")[0]
    assert stored
    assert all(name.startswith("weights/") for name in stored)
    assert not any("hints" in name for name in stored)

    path.write_text(TWO_STAGES.replace("[supernet]", f'[supernet]\nteacher = "parent"\n{hints}'))
    status, out, err = run_cli("train", str(path), "--run", str(tmp_path / "other"))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "supernet.feature_distillation compares 2 stages" in err
    assert not (tmp_path / "other").exists()


def test_what_cannot_teach_is_refused_in_one_line(tmp_path: Path) -> None:
    parent(tmp_path)
    with pytest.raises(UserError, match=r"^supernet\.teacher='nowhere': .*nowhere is not a folder; name a run's"):
        teacher_of(run_of(experiment(tmp_path, "nowhere")))
    other_split = run_of(experiment(tmp_path, "parent", 'format = "digits"', 'format = "digits"\nseed = 1'))
    with pytest.raises(UserError, match=r"^supernet\.teacher='parent' was trained on other data or another split"):
        teacher_of(other_split)
    (tmp_path / "parent" / "supernet.safetensors").unlink()
    with pytest.raises(UserError, match=r"^supernet\.teacher='parent': .* has no trained supernet"):
        teacher_of(run_of(experiment(tmp_path, "parent")))

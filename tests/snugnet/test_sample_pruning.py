"""`sample_pruning` in an experiment: the steps that the epochs say, and a run that goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

from snugnet.commands.train import prepare
from snugnet.experiment import read_experiment
from snugnet.run import Run
from supernet.checkpoint import load_tensors
from tests.journey import DIGITS, run_cli

PRUNED = DIGITS.replace("[supernet]", "[supernet]\nsample_pruning = 0.2")


def test_a_run_that_stopped_in_the_middle_of_a_pass_ends_with_the_same_weights(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(PRUNED)
    arguments = ("train", str(tmp_path / "tiny.toml"), "--run")
    status, _, err = run_cli(*arguments, str(tmp_path / "straight"))
    assert status == 0, err
    run = Run.of(read_experiment(tmp_path / "tiny.toml"), tmp_path / "stopped")
    run.begin()
    training = prepare(run)
    training.run(training.batches_of(run.data.train), checkpoint=run.supernet_path, stop=lambda: training.step == 20)
    tensors, metadata = load_tensors(run.supernet_path)
    first, num_passes = tensors["pruning/place"].tolist()
    assert 0 < first < metadata["step"] == 20 and num_passes == 2
    status, _, err = run_cli(*arguments, str(run.folder), "--resume")
    assert status == 0, err
    steps = 2 * (len(run.data.train) // 64)
    straight, resumed = ((tmp_path / name / "supernet.safetensors") for name in ("straight", "stopped"))
    assert load_tensors(straight)[1]["num_steps"] == load_tensors(resumed)[1]["num_steps"] == steps
    (a, _), (b, _) = load_tensors(straight), load_tensors(resumed)
    assert a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)

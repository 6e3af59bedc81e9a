"""Every command refuses what it cannot use: one line on standard error, status 2, nothing written."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from search_space import UserError
from snugnet.experiment import read_experiment
from snugnet.run import TRIALS, Run
from studies.table import Table
from supernet.checkpoint import load_tensors, save_tensors
from tests.journey import DIGITS, run_cli, trained_run

GOOD = DIGITS


def toml(folder: Path, old: str = "", new: str = "") -> str:
    """The good experiment with one change, as a file."""
    assert old in GOOD
    path = folder / "experiment.toml"
    path.write_text(GOOD.replace(old, new, 1))
    return str(path)


EXPERIMENTS: dict[str, tuple[str, str, str]] = {
    "not TOML": ("[data]", "[data", "is not TOML"),
    "unknown section": ("[data]", "[dta]", "did you mean 'data'"),
    "unknown key": ("epochs =", "epoch =", "supernet: 'epoch' is not a key; did you mean 'epochs'"),
    "wrong type": ("epochs = 2", 'epochs = "2"', "supernet.epochs='2' is not accepted"),
    "not positive": ("epochs = 2", "epochs = 0", "supernet.epochs=0 must be above 0"),
    "unknown policy": (
        'policy = "sandwich"',
        'policy = "sandwhich"',
        "not one of (uniform, log_uniform, sandwich,",
    ),
    "unknown component": ("pooling = {}", "poling = {}", "did you mean 'pooling'"),
    "unknown option": ("kernel_size", "kernel", "did you mean 'kernel_size'"),
    "unknown value": ("kernel_size = [3, 5]", "kernel_size = [4]", "kernel_size=4 is not one of"),
    "components not a list": (
        "[search_space]",
        '[search_space]\ncomponents = "torch.nn.Conv2d"',
        "must be a list of paths",
    ),
    "component that cannot be imported": (
        "[search_space]",
        '[search_space]\ncomponents = ["nowhere.at_all"]',
        "cannot be imported",
    ),
    "unknown residual": ("[search_space]", '[search_space]\nresidual = "post"', "accepted: post_norm, pre_norm"),
    "path of built-in data": (
        'format = "digits"',
        'format = "moving_shapes"\npath = "x"',
        "which is built in; remove it",
    ),
    "unknown data": ('format = "digits"', 'format = "digit"', "data.format='digit' is unknown"),
    "unknown objective": ('"accuracy", "latency_ms"', '"accurcy"', "'accurcy' is not a metric"),
    "unknown constraint": ("params <= 100000", "weight <= 3", "names no metric"),
    "unknown algorithm": ('algorithm = "random"', 'algorithm = "rndom"', "rndom"),
    "pruning that leaves no batch": (
        "epochs = 2",
        "epochs = 2\nsample_pruning = 0.95",
        "supernet.sample_pruning=0.95 keeps",
    ),
    "stages that nobody teaches": (
        'policy = "sandwich"',
        'policy = "uniform"\nattention_distillation = 1',
        "supernet.attention_distillation changes nothing with the policy uniform",
    ),
    "a divergence from nobody": (
        'policy = "sandwich"',
        'policy = "uniform"\ndistillation_loss = "alpha"',
        "supernet.distillation_loss changes nothing with the policy uniform",
    ),
    "batch above the rows": ("batch_size = 64", "batch_size = 6400", "more than the"),
    "absent data": ('format = "digits"', 'format = "idx"\npath = "nowhere"', "'nowhere' was not found"),
    "a negative seed": ("seed = 0", "seed = -1", "seed=-1 must be"),
    "not finite": ("epochs = 2", "epochs = 2\nweight_decay = nan", "supernet.weight_decay=nan is not a finite number"),
    "negative decay": (
        "epochs = 2",
        "epochs = 2\nweight_decay = -1.0",
        "supernet.weight_decay=-1.0 must be at least 0",
    ),
    "no search batch": ('algorithm = "random"', 'algorithm = "random"\nbatch_size = 0', "search.batch_size=0 must be"),
    "no threads": ("max_seconds = 0.05", "max_seconds = 0.05\nthreads = 0", "search.latency.threads=0 must be above 0"),
    "operations without end": (
        "epochs = 2",
        "epochs = 2\nrand_augment = 1000000",
        "supernet.rand_augment=1000000 must be at most 16",
    ),
    "subnets without end": (
        "subnets_per_step = 3",
        "subnets_per_step = 100000",
        "supernet.subnets_per_step=100000 must be at most 256",
    ),
    "more threads than cores": (
        "\nthreads = 1\n",
        "\nthreads = 100000\n",
        "supernet.threads=100000 but this process may use",
    ),
    "negative study": ("num_steps = 10", "num_steps = -1", "studies.num_steps=-1 must be above 0"),
    "law of two columns": (
        "num_steps = 10",
        'num_steps = 10\nlaw = "additive"',
        "names 1 columns, but additive takes 2",
    ),
    "huge width": ("width = [8, 16]\ndepth", "width = [100000000]\ndepth", "whole numbers from 1 to 65536"),
    "no stages": ("[[search_space.stages]]", "[[search_space.stage]]", "did you mean 'stages'"),
}


@pytest.mark.parametrize(("old", "new", "message"), EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_a_wrong_experiment_is_refused_and_no_run_is_made(tmp_path: Path, old: str, new: str, message: str) -> None:
    path, folder = toml(tmp_path, old, new), tmp_path / "run"
    refused("train", path, "--run", str(folder), message=message)
    assert not folder.exists()


def refused(*arguments: str, message: str) -> None:
    status, out, err = run_cli(*arguments)
    assert status == 2, err
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    status, out, err = run_cli(*arguments, "--json")
    assert (status, out) == (2, "")


def absent(_: Path) -> str:
    return "/nowhere"


def a_file(folder: Path) -> str:
    path = folder / "a_file"
    path.write_text("x")
    return str(path)


def empty_folder(folder: Path) -> str:
    (folder / "empty").mkdir(exist_ok=True)
    return str(folder / "empty")


PATHS: list[Callable[[Path], str]] = [absent, a_file, empty_folder]


@pytest.mark.parametrize("place", PATHS)
@pytest.mark.parametrize(
    "command",
    [
        ("search", "PATH", "--trials", "2"),
        ("front", "PATH"),
        ("report", "PATH"),
        ("extract", "PATH", "--out", "/nowhere/subnet"),
        ("measure", "PATH"),
        ("measure", "PATH", "--architectures", "2"),
        ("devices", "PATH"),
        ("audit", "PATH"),
        ("transform", "PATH", "--flops", "1"),
        ("finish", "PATH", "--out", "/nowhere/subnet"),
        ("describe", "PATH"),
        ("grow", "PATH", "--run", "/nowhere/run"),
        ("study", "fit", "PATH", "--x", "n", "--y", "loss", "--law", "power_law"),
    ],
    ids=lambda command: " ".join(word for word in command if word.isalpha()),
)
def test_a_path_of_something_else_is_refused(
    tmp_path: Path, place: Callable[[Path], str], command: tuple[str, ...]
) -> None:
    path = place(tmp_path)
    refused(*(path if word == "PATH" else word for word in command), message=path)


TABLES: dict[str, tuple[str, str]] = {
    "not a number": ("n,loss\n1,2\n2,nan\n3,1\n4,1\n", "row 1: loss"),
    "missing": ("n,loss\n1,2\n2,\n3,1\n4,1\n", "row 1: loss is missing"),
    "negative": ("n,loss\n1,2\n2,-1\n3,1\n4,1\n", "row 1: loss=-1"),
    "no rows": ("n,loss\n", "no rows"),
    "empty": ("", "is empty"),
    "too few rows": ("n,loss\n1,2\n2,1\n", "needs"),
    "no such column": ("m,loss\n1,2\n2,1\n", "'n' is not a column"),
}


@pytest.mark.parametrize(("content", "message"), TABLES.values(), ids=TABLES)
def test_a_table_that_cannot_be_fitted_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(content)
    refused("study", "fit", str(path), "--x", "n", "--y", "loss", "--law", "power_law_floor", message=message)


def test_an_unknown_law_and_a_wrong_number_of_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("n,loss\n1,2\n2,1\n3,0.5\n")
    refused("study", "fit", str(path), "--x", "n", "--y", "loss", "--law", "powerlaw", message="power_law")
    refused("study", "fit", str(path), "--x", "n", "--y", "loss", "--law", "additive", message="2")


def test_a_corrupt_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"n": [1.0, 2.0], "loss": [2.0, 1.0]}), path)
    path.write_bytes(path.read_bytes()[:-20])
    refused("study", "fit", str(path), "--x", "n", "--y", "loss", "--law", "power_law", message=str(path))


@pytest.mark.parametrize(
    "options",
    [
        ("--latency-ms", "nan"),
        ("--latency-ms", "-1"),
        ("--max-params", "0"),
        ("--latency-ms", "x"),
        ("--max-flops", "1.5"),
    ],
)
def test_an_impossible_number_is_refused(tmp_path: Path, options: tuple[str, str]) -> None:
    refused("extract", str(trained_run()), "--out", str(tmp_path / "s"), *options, message=options[0])


IMPOSSIBLE = {
    "latency": (("--latency-ms", "0.000001"), "the nearest is"),
    "parameters": (("--max-params", "10"), "the nearest is"),
    "unknown id": (("--id", "0123456789abcdef"), "is not among"),
}


@pytest.mark.parametrize(("options", "message"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_budget_that_nothing_meets_names_the_nearest_and_writes_nothing(
    tmp_path: Path, options: tuple[str, str], message: str
) -> None:
    out = tmp_path / "subnet"
    status, printed, err = run_cli("extract", str(trained_run()), "--out", str(out), *options)
    assert (status, printed) == (2, "")
    assert message in err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_run_before_training_or_search_says_what_to_do_first(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "experiment.toml").write_text(GOOD)
    (folder / "origin.json").write_text(json.dumps({"base": str(tmp_path)}))
    refused("search", str(folder), "--trials", "1", message="snugnet train")
    refused("audit", str(folder), message="snugnet train")
    refused("transform", str(folder), "--flops", "1", message="snugnet train")
    refused("extract", str(folder), "--out", str(tmp_path / "s"), message="snugnet train")
    refused("front", str(folder), message="snugnet search")


def test_a_damaged_checkpoint_or_table_is_named(tmp_path: Path) -> None:
    folder = copied_run(tmp_path)
    checkpoint = folder / "supernet.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-7])
    refused("extract", str(folder), "--out", str(tmp_path / "s"), message=str(checkpoint))
    refused("train", toml(tmp_path), "--run", str(folder), message=str(checkpoint))
    part = next((folder / "trials").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-7])
    refused("front", str(folder), message=str(part))


def test_trials_of_another_table_are_refused(tmp_path: Path) -> None:
    folder = copied_run(tmp_path)
    for part in (folder / "trials").glob("*.parquet"):
        part.unlink()
    pq.write_table(pa.table({"a": [1]}), folder / "trials" / "00000000.parquet")
    refused("front", str(folder), message="00000000.parquet")


def test_a_place_that_cannot_be_written_to_is_refused_before_the_work(tmp_path: Path) -> None:
    under_a_file = f"{a_file(tmp_path)}/below"
    refused("extract", str(trained_run()), "--out", under_a_file, message="--out")
    refused("train", toml(tmp_path), "--run", under_a_file, message="--run")


def test_a_run_in_use_is_refused(tmp_path: Path) -> None:
    folder = copied_run(tmp_path)
    with Run.open(folder).exclusive():
        refused("train", toml(tmp_path), "--run", str(folder), message="in use by another snugnet command")


def test_a_subnets_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    subnet = tmp_path / "subnet"
    assert run_cli("extract", str(trained_run()), "--out", str(subnet))[0] == 0
    for name, options in (("model.safetensors", ()), ("model.onnx", ("--backend", "onnxruntime"))):
        content = (subnet / name).read_bytes()
        (subnet / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        refused("measure", str(subnet), *options, message=name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "is a run; give --architectures K to measure K of its architectures"),
        (("--architectures", "0"), "--architectures"),
        (("--architectures", "100000000"), "--architectures 100000000 must be from 1 to 10,000"),
        (("--architectures", "2", "--threads", "1000"), "device.threads=1000 but this process may use"),
        (("--architectures", "2", "--on", "phone"), "--on phone names a worker of a Ray cluster; give its --address"),
        (("--architectures", "2", "--backend", "cuda_graph"), "needs device.kind='cuda'"),
    ],
)
def test_an_impossible_measurement_of_a_run_is_refused_and_writes_nothing(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    folder = copied_run(tmp_path)
    refused("measure", str(folder), *options, message=message)
    assert not (folder / "latencies").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--architectures", "2"), "--architectures"),
        (("--architectures", "85"), "architectures=85 must be at most 84 in this space"),
        (("--architectures", "100000000"), "architectures=100000000 would each be trained alone; at most 10000"),
        (("--seeds", "0"), "--seeds"),
        (("--epochs", "0"), "--epochs"),
        (("--epochs", "99999999999"), "epochs=99999999999 must be at most 1,000,000"),
        (("--address", "http://nowhere:1"), "is none of a Ray cluster"),
    ],
)
def test_an_impossible_audit_is_refused_and_writes_nothing(
    tmp_path: Path, options: tuple[str, str], message: str
) -> None:
    folder = copied_run(tmp_path)
    status, out, err = run_cli("audit", str(folder), *options)
    assert (status, out) == (2, "")
    assert message in err.splitlines()[-1]
    assert not (folder / "audit").exists() and not (folder / "audit.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--flops", "0"), "--flops 0 must be at least 1"),
        (("--flops", "0.4"), "given '0.4'"),
        (("--flops", "1000000000"), "outside this space, whose smallest architecture has"),
        (("--flops", "1"), "outside this space, whose smallest architecture has"),
        (("--flops", "30000", "--tolerance", "0"), "--tolerance 0 must be above 0 and below 1"),
        (("--flops", "30000", "--epochs", "0"), "--epochs"),
    ],
)
def test_an_impossible_transformation_is_refused_and_writes_nothing(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    folder = copied_run(tmp_path)
    refused("transform", str(folder), *options, message=message)
    assert not (folder / "transform").exists() and len(Run.open(folder).trials.rows()) == 6


def test_what_cannot_be_finished_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    folder, subnet, new = copied_run(tmp_path), tmp_path / "subnet", str(tmp_path / "new")
    assert run_cli("extract", str(folder), "--out", str(subnet))[0] == 0
    for option, value in (("--epochs", "0"), ("--learning-rate", "0"), ("--learning-rate", "nan")):
        refused("finish", str(subnet), "--out", new, option, value, message=option)
    refused("finish", str(subnet), "--out", str(subnet), message="exists and is not empty")
    refused("finish", str(subnet), "--out", new, "--run", str(tmp_path), message="is not a run")
    refused("measure", str(subnet), "--architectures", "3", message="is a subnet, not a run")
    refused(
        "measure", str(folder), "--parts", "--component", "torch.nn.Conv2d", message="--component goes with a subnet"
    )
    refused("measure", str(subnet / "card.json"), message="card.json is not a subnet")
    card = json.loads((subnet / "card.json").read_text())
    other = {**card, "parent": {**card["parent"], "supernet": "of another"}}
    (subnet / "card.json").write_text(json.dumps(other))
    refused("finish", str(subnet), "--out", new, message="was extracted from other weights")
    (subnet / "card.json").write_text(json.dumps({**card, "data": {**card["data"], "fingerprint": "another"}}))
    refused("finish", str(subnet), "--out", new, message="are no longer those that")
    (subnet / "card.json").write_text(json.dumps({**card, "parent": {"supernet": card["parent"]["supernet"]}}))
    refused("finish", str(subnet), "--out", new, message="name it: --run DIR")
    (subnet / "card.json").write_text(json.dumps(card))
    shutil.rmtree(folder)
    refused("finish", str(subnet), "--out", new, message=f"is no longer at {folder}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["subnet"]


def test_training_again_mends_a_lost_origin(tmp_path: Path) -> None:
    folder = copied_run(tmp_path)
    (folder / "origin.json").unlink()
    refused("front", str(folder), message="mend it with: snugnet train")
    assert run_cli("train", toml(tmp_path), "--run", str(folder))[0] == 0
    assert run_cli("front", str(folder))[0] == 0


def test_another_experiment_does_not_touch_a_run(tmp_path: Path) -> None:
    folder = copied_run(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    refused("train", toml(tmp_path, "seed = 0", "seed = 1"), "--run", str(folder), message="another experiment")
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_front_without_feasible_trials_says_so(tmp_path: Path) -> None:
    folder = copied_run(tmp_path)
    rows = Table(trained_run() / "trials", TRIALS).rows()
    for part in (folder / "trials").glob("*.parquet"):
        part.unlink()
    Table(folder / "trials", TRIALS).append([{**row, "accuracy": None} for row in rows])
    refused("front", str(folder), message="none of the")


def copied_run(folder: Path) -> Path:
    return Path(shutil.copytree(trained_run(), folder / "run"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("depthwize",), "did you mean 'depthwise'?"),
        (("--component", "nowhere.at_all"), "install it or put its folder on PYTHONPATH"),
        (("--component", "torch.nn"), "must define exactly one public nn.Module"),
    ],
)
def test_the_catalogue_refuses_what_does_not_exist(arguments: tuple[str, ...], message: str) -> None:
    refused("catalogue", *arguments, message=message)


def test_a_network_that_grew_and_a_supernet_do_not_share_a_folder(tmp_path: Path) -> None:
    path, folder = toml(tmp_path, "seed = 0", "seed = 0"), tmp_path / "run"
    folder.mkdir()
    assert run_cli("train", path, "--run", str(folder))[0] == 0
    before = (folder / "training.csv").read_bytes()
    refused("grow", path, "--run", str(folder), message="holds the training of a supernet")
    assert (folder / "training.csv").read_bytes() == before
    assert run_cli("grow", path, "--run", str(tmp_path / "grown"), "--epochs", "1")[0] == 0
    refused("train", path, "--run", str(tmp_path / "grown"), message="holds a network that grew")
    (folder / "supernet.safetensors").unlink()
    refused("train", path, "--run", str(folder), "--resume", message="is missing: nothing to resume")


def test_an_address_without_workers_is_refused(tmp_path: Path) -> None:
    path = toml(tmp_path, "seed = 0", "seed = 0")
    arguments = ("train", path, "--run", str(tmp_path / "run"), "--address", "1.2.3.4:6379")
    refused(*arguments, message="say how many with --workers")


def test_what_weights_do_not_depend_on_may_change(tmp_path: Path) -> None:
    folder = str(tmp_path / "run")
    assert run_cli("train", toml(tmp_path, "seed = 0", "seed = 0"), "--run", folder)[0] == 0
    assert run_cli("train", toml(tmp_path, "checkpoint_steps = 5", "checkpoint_steps = 7"), "--run", folder)[0] == 0
    refused("train", toml(tmp_path, "epochs = 2", "epochs = 3"), "--run", folder, message="[supernet] differs")


def test_a_disk_that_refuses_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/full/supernet.safetensors")

    monkeypatch.setattr("snugnet.commands.train.prepare", full)
    path = toml(tmp_path, "seed = 0", "seed = 0")
    refused("train", path, "--run", str(tmp_path / "run"), message="/full/supernet.safetensors: No space left")


def test_weights_of_another_experiment_are_refused_by_what_uses_them(tmp_path: Path) -> None:
    folder, other = copied_run(tmp_path), str(tmp_path / "other")
    assert run_cli("train", toml(tmp_path, "epochs = 2", "epochs = 1"), "--run", other)[0] == 0
    shutil.copy(tmp_path / "other" / "supernet.safetensors", folder / "supernet.safetensors")
    refused("audit", str(folder), "--architectures", "3", message="was trained by another experiment")


def test_weights_from_before_a_setting_existed_are_used(tmp_path: Path) -> None:
    path = copied_run(tmp_path) / "supernet.safetensors"
    tensors, metadata = load_tensors(path)
    stored = metadata["identity"]["supernet"]
    del stored["rand_augment_magnitude"]
    save_tensors(path, tensors, metadata | {"identity": metadata["identity"] | {"supernet": stored | {"gone": 1}}})
    assert Run.open(path.parent).supernet
    del stored["subnets_per_step"]  # the experiment says 3, and without it there would be another number
    save_tensors(path, tensors, metadata)
    with pytest.raises(UserError, match="was trained by another experiment"):
        _ = Run.open(path.parent).supernet


def test_an_interruption_at_any_time_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("snugnet.commands.train.prepare", interrupted)
    status, out, err = run_cli("train", toml(tmp_path, "seed = 0", "seed = 0"), "--run", str(tmp_path / "run"))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "interrupted; what was complete is kept" in err


def test_a_space_that_does_not_fit_into_memory_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def huge(*_: object, **__: object) -> None:
        torch.empty(2**60)

    monkeypatch.setattr("snugnet.commands.train.prepare", huge)
    path = toml(tmp_path, "seed = 0", "seed = 0")
    refused("train", path, "--run", str(tmp_path / "run"), message="this needs more memory than there is")


def test_a_folder_in_which_nothing_was_kept_takes_another_experiment(tmp_path: Path) -> None:
    run = tmp_path / "run"
    Run.of(read_experiment(Path(toml(tmp_path, "epochs = 2", "epochs = 3"))), run).begin()
    (run / "training.csv").write_text("what diverged")
    other = read_experiment(Path(toml(tmp_path, "epochs = 2", "epochs = 1")))
    Run.of(other, run).begin()
    assert Run.open(run).experiment == other
    (run / "supernet.safetensors").touch()
    with pytest.raises(UserError, match=r"holds a run of another experiment: \[supernet\] differs"):
        Run.of(read_experiment(Path(toml(tmp_path, "epochs = 2", "epochs = 3"))), run)

"""The three journeys, end to end on digits, through the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import snugnet
from predictors import LatencyPredictor
from search_space import Architecture
from snugnet.estimates import choices_of, sources_of
from snugnet.parts import parts_of
from snugnet.run import Run
from supernet.data import in_order
from supernet.network import Network, Task
from tests.journey import DIGITS, run_cli, trained_run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("journeys")]  # they share one search


def call(*arguments: str) -> dict[str, Any]:
    """The JSON that a command prints; it has to end well and to print nothing else."""
    status, out, err = run_cli(*arguments, "--json")
    assert status == 0, err
    return json.loads(out)


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(DIGITS)
    return path


@pytest.fixture(scope="module")
def searched(ray: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with 24 trials, made by a real search on a local Ray in two parts."""
    folder = tmp_path_factory.mktemp("searched")
    experiment = folder / "tiny.toml"
    experiment.write_text(DIGITS.replace('algorithm = "random"', 'algorithm = "nsga2"'))
    assert call("train", str(experiment), "--run", str(folder / "run"))["num_steps"] == 38
    first = call("search", str(folder / "run"), "--trials", "8")
    assert first["num_trials"] == 8
    rows = Run.open(folder / "run").trials.rows()
    second = call("search", str(folder / "run"), "--trials", "24")
    assert (second["num_trials"], second["ending"]) == (24, "complete")
    assert Run.open(folder / "run").trials.rows()[:8] == rows
    assert set(second["predictors"]) == {"accuracy", "latency_ms"}
    return folder / "run"


def test_search_gives_a_front_of_measured_trials(searched: Path) -> None:
    rows = Run.open(searched).trials.rows()
    assert [row["trial"] for row in rows] == list(range(24))
    assert len({row["id"] for row in rows}) == 24
    front = call("front", str(searched))
    assert Path(front["picture"]).read_bytes().startswith(b"\x89PNG")
    assert front["hypervolume"] > 0
    for member in front["front"]:
        for row in rows:
            better = row["accuracy"] >= member["accuracy"] and row["latency_ms"] <= member["latency_ms"]
            assert not better or row["id"] == member["id"] or row["accuracy"] == member["accuracy"]


def test_an_extracted_subnet_stands_alone(searched: Path, tmp_path: Path) -> None:
    rows = Run.open(searched).trials.rows()
    budget = float(np.median([row["latency_high_ms"] for row in rows])) * 1.2
    out = tmp_path / "subnet"
    card = call("extract", str(searched), "--latency-ms", str(budget), "--out", str(out))
    assert card["measured"]["latency_ms"]["high_ms"] <= budget
    assert sorted(path.name for path in out.iterdir()) == ["card.json", "model.onnx", "model.safetensors"]
    run = Run.open(searched)
    network = snugnet.load_subnet(out)
    session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
    correct = 0
    for x, labels in in_order(run.data.search, 128):
        with torch.no_grad():
            logits = network(x)
        (from_onnx,) = session.run(None, {"input": x.numpy()})
        assert np.abs(logits.numpy() - from_onnx).max() < 1e-4
        correct += int((logits.argmax(1) == labels).sum())
    assert correct / len(run.data.search) == pytest.approx(card["measured"]["search_accuracy"]["value"])
    measured = call("measure", str(out), "--seconds", "0.5")
    assert measured["id"] == card["id"]
    assert measured["latency"]["reference_ms"] == card["measured"]["latency_ms"]["reference_ms"]
    assert measured["latency"]["low_ms"] <= measured["latency"]["median_ms"] <= measured["latency"]["high_ms"]
    assert (
        call("measure", str(out), "--seconds", "0.5", "--backend", "onnxruntime")["device"]["backend"] == "onnxruntime"
    )


def test_the_report_split_is_read_once_for_each_subnet(searched: Path, tmp_path: Path) -> None:
    front = [member["id"] for member in call("front", str(searched))["front"]]
    first = call("extract", str(searched), "--id", front[0], "--out", str(tmp_path / "a"))
    again = call("extract", str(searched), "--id", front[0], "--out", str(tmp_path / "b"))
    assert first["measured"]["report_accuracy"] == again["measured"]["report_accuracy"]
    assert again["report_split"]["attempts"] == 1
    ledger = [json.loads(line) for line in (searched / "report_split.jsonl").read_text().splitlines()]
    assert sum(line["event"] == "read" and line["subnet"].startswith(front[0]) for line in ledger) == 1


def test_failed_trials_are_counted_and_explained(searched: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(searched, tmp_path / "run"))
    rows = Run.open(folder).trials.rows()
    shutil.rmtree(folder / "trials")
    failures = [{**row, "accuracy": None, "latency_ms": None, "error": "Boom:\nit broke"} for row in rows]
    Run.open(folder).trials.append([*failures[:23], {**rows[23], "trial": 23}])
    assert call("front", str(folder))["num_failed"] == 23
    assert "; 23 failed" in run_cli("front", str(folder))[1]
    shutil.rmtree(folder / "trials")
    Run.open(folder).trials.append(failures)
    status, _, err = run_cli("extract", str(folder), "--max-params", "1000000", "--out", str(tmp_path / "out"))
    assert status == 2 and "all 24 trials" in err and "it broke" in err


def test_the_report_is_one_page_with_everything(searched: Path, experiment: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(searched, tmp_path / "run"))
    found = call("report", str(folder))
    assert found["sections"]["Training"]
    assert found["sections"]["Pareto front"]
    assert found["sections"]["Predictor quality"]
    assert found["sections"]["Devices"]
    assert not found["sections"]["Scaling study"]
    page = (folder / "report.html").read_text()
    assert all(each["id"] in page for each in call("devices", str(folder))["devices"])
    assert "http://" not in page.split("</script>", 1)[1]
    assert call("front", str(folder))["front"][0]["id"] in page
    assert "Would more trials help?" in page and "{&#x27;" not in page  # no dict as Python writes it


def test_a_study_trains_its_grid_resumes_and_is_fitted(experiment: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    rows = call("study", "run", str(experiment), "--run", str(folder))["rows"]
    assert [(row["width"], row["train_size"]) for row in rows] == [(w, n) for w in (8, 16) for n in (64, 128, 256, 512)]
    assert call("study", "run", str(experiment), "--run", str(folder))["rows"] == rows
    fit = call("study", "fit", f"{folder}/study", "--x", "train_size", "--y", "loss_nats", "--law", "power_law")
    assert set(fit["params"]) == set(fit["intervals"]) == {"a", "alpha"}
    assert fit["extrapolation"]["num_held_out"] > 0


def test_describe_counts_what_the_space_holds(experiment: Path) -> None:
    described = call("describe", str(experiment))
    assert described["size"] == 2 * (6 + 6**2)
    task = Task(tuple(described["input_shape"]), described["num_classes"])
    for end in ("smallest", "largest"):
        network = Network(Architecture.from_dict(described[end]["architecture"]), task)
        assert described[end]["params"] == sum(p.numel() for p in network.parameters())


def test_the_catalogue_lists_every_component_with_its_source() -> None:
    components = call("catalogue")["components"]
    assert {"mixer", "gate", "ffn", "stem", "norm", "residual"} == {entry["kind"] for entry in components}
    assert all(entry["source"] and entry["summary"] for entry in components)


def test_every_command_prints_text_for_people(searched: Path, experiment: Path, tmp_path: Path) -> None:
    for arguments in (
        ("catalogue",),
        ("describe", str(experiment)),
        ("front", str(searched)),
        ("search", str(searched), "--trials", "1"),
        ("train", str(searched.parent / "tiny.toml"), "--run", str(searched), "--resume"),
    ):
        status, out, err = run_cli(*arguments)
        assert status == 0, err
        assert len(out.splitlines()) > 1


def test_the_functions_are_the_commands() -> None:
    assert snugnet.front(trained_run()).as_dict() == call("front", str(trained_run()))
    assert not hasattr(snugnet, "no_such_command")


def test_a_picture_and_a_page_go_where_they_are_told_and_nothing_into_the_run(searched: Path, tmp_path: Path) -> None:
    before = sorted(path.stat().st_mtime_ns for path in searched.rglob("*"))
    assert call("front", str(searched), "--out", str(tmp_path / "f.png"))["picture"] == str(tmp_path / "f.png")
    assert (tmp_path / "f.png").read_bytes()[:4] == b"\x89PNG"
    assert call("report", str(searched), "--out", str(tmp_path / "r.html"))["report"] == str(tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert sorted(path.stat().st_mtime_ns for path in searched.rglob("*")) == before
    status, out, err = run_cli("front", str(searched), "--out", str(tmp_path))
    assert (status, out) == (2, "") and err.endswith("Is a directory; name a file in a folder\n")


def test_measure_fills_a_table_for_each_device_and_keeps_it(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(searched, tmp_path / "run")
    first = call("measure", str(run), "--architectures", "4", "--seconds", "0.1")["rows"]
    parts = call("measure", str(run), "--parts", "--architectures", "7", "--seconds", "0.1")
    more = parts["rows"]
    assert len(more) == 7
    assert [row for row in more if row["trial"] < 4] == first
    assert {row["reference_ms"] for row in more} == {first[0]["reference_ms"]}  # one calibration for all
    assert {part["id"] for part in parts["parts"]} == {part.id for part in parts_of(Run.open(run).experiment.space)}
    space = Run.open(run).experiment.space
    ((_, choices, sums),) = sources_of([], parts["parts"], first[0]["device_id"], space)
    off = LatencyPredictor().fit(choices, sums).predict(choices_of(more, space)) / [row["latency_ms"] for row in more]
    assert max(abs(np.log(off))) < np.log(1.5)
    batch = call("measure", str(run), "--architectures", "2", "--seconds", "0.1", "--batch-size", "8")
    assert len(batch["rows"]) == 2
    assert all(row["throughput_per_s"] == pytest.approx(8000 / row["latency_ms"]) for row in batch["rows"])
    known = call("devices", str(run))["devices"]
    assert {each["id"]: each["num_measured"] for each in known}[batch["device"]["id"]] == 2
    assert sorted(each["num_measured"] for each in known) == [2, 7]
    assert sum(each["num_trials"] for each in known) == 24
    monkeypatch.setattr("snugnet.commands.measure_run.connected", None)  # where nothing is left, no Ray is started
    assert call("measure", str(run), "--parts", "--architectures", "7", "--seconds", "0.1") == parts

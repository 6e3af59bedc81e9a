"""`snugnet predict fit`: a report card for any table, and predictions for another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from predictors import LatencyPredictor
from search_space import UserError
from snugnet.commands.predict_fit import predict_fit
from tests.journey import run_cli
from tests.snugnet.test_estimates import SPACE


def table(path: Path, num_rows: int, seed: int, widest: int = 64) -> Path:
    """Width, kernel and a latency that follows from them."""
    generator = np.random.default_rng(seed)
    width = generator.integers(8, widest + 1, num_rows)
    kernel = generator.choice([3, 5, 7], num_rows)
    latency = (0.2 + 0.01 * width * kernel) * np.exp(0.02 * generator.standard_normal(num_rows))
    pq.write_table(pa.table({"width": width, "kernel": kernel, "latency_ms": latency}), path)
    return path


def test_judges_and_predicts(tmp_path: Path) -> None:
    known, new, out = (
        table(tmp_path / "known.parquet", 60, 0),
        table(tmp_path / "new.parquet", 100, 1),
        tmp_path / "out.parquet",
    )
    options = ("--target", "latency_ms", "--features", "width", "kernel", "--apply", str(new), "--out", str(out))
    status, text, err = run_cli("predict", "fit", str(known), *options, "--json")
    assert status == 0, err
    found = json.loads(text)
    assert found["features"] == ["width", "kernel"]
    assert found["kind"] == "latency"
    assert found["kendall"] > 0.9
    assert found["mape"] < 0.05
    assert [point["rows"] for point in found["learning_curve"]] == [12, 24, 48]
    predicted, truth = pq.read_table(out), pq.read_table(new)["latency_ms"].to_numpy()
    assert predicted.column_names == ["width", "kernel", "predicted", "low", "high", "far"]
    assert np.mean(np.abs(predicted["predicted"].to_numpy() / truth - 1)) < 0.05
    assert not any(predicted["far"].to_pylist())


def test_rows_far_from_the_table_are_counted(tmp_path: Path) -> None:
    known, far, out = (
        table(tmp_path / "known.parquet", 60, 0),
        table(tmp_path / "far.parquet", 50, 1, 5000),
        tmp_path / "out.parquet",
    )
    options = ("--target", "latency_ms", "--features", "width", "kernel", "--apply", str(far), "--out", str(out))
    status, text, _ = run_cli("predict", "fit", str(known), *options)
    assert status == 0
    assert text.splitlines()[-1].endswith("of them too far from the table to be trusted")


def test_rows_that_were_not_measured_are_left_out_and_counted(tmp_path: Path) -> None:
    known = tmp_path / "known.csv"
    some = [f"{width},{'' if width % 4 else width}" for width in range(1, 41)]
    known.write_text("\n".join(["width,latency_ms,nothing", *(f"{line}," for line in some)]))
    options = ("predict", "fit", str(known), "--features", "width", "--target")
    status, text, _ = run_cli(*options, "latency_ms")
    assert status == 0
    assert "of 10 rows" in text and "30 rows without a number in latency_ms were left out" in text
    status, _, err = run_cli(*options, "nothing")
    assert (status, err.count("\n")) == (2, 1) and "no row has a number in nothing" in err


WRONG: dict[str, str] = {
    "--target latency --features width": "'latency' is not a column; there are width, kernel, latency_ms",
    "--target latency_ms --features widht": "'widht' is not a column",
    "--target latency_ms --features latency_ms": "--features has the target latency_ms",
    "--target latency_ms --features width --apply x.parquet": "--apply TABLE and",
    "--target latency_ms --features width --apply TABLE --out /nowhere/a.parquet": "--out /nowhere/a.parquet must be",
    "--target latency_ms --features width --apply TABLE --out TABLE": "known.parquet exists; name a new file",
    "--target latency_ms --features width --apply TABLE --out /proc/a.parquet": "a.parquet cannot be written",
    "--target latency_ms --features width width": "--features has width twice",
    "--target latency_ms --features width --coverage 90": "--coverage 90.0 must lie between 0 and 1",
    "--target latency_ms --features width --seed -1": "--seed -1 must be 0 or more",
    "--target latency_ms --features width --apply /nowhere.csv --out OUT": "/nowhere.csv does not exist",
    "--target latency_ms": "--features",
}


@pytest.mark.parametrize(("options", "message"), WRONG.items())
def test_wrong_options_are_refused_and_nothing_is_written(tmp_path: Path, options: str, message: str) -> None:
    known, out = table(tmp_path / "known.parquet", 30, 0), tmp_path / "out.parquet"
    places = {"TABLE": str(known), "OUT": str(out)}
    status, text, err = run_cli(
        "predict", "fit", str(known), *(places.get(option, option) for option in options.split())
    )
    assert (status, text) == (2, "")
    assert message in err
    assert len([line for line in err.splitlines() if not line.startswith("fits: ")]) == 1
    assert not out.exists()
    assert "latency_ms" in pq.read_table(known).column_names


def test_what_to_predict_for_is_read_before_anything_is_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*_: object) -> None:
        raise AssertionError("fitted")

    monkeypatch.setattr(LatencyPredictor, "fit", fit)
    known, other, out = table(tmp_path / "known.parquet", 30, 0), tmp_path / "other.csv", tmp_path / "out.parquet"
    other.write_text("kernel\n3\n")
    with pytest.raises(UserError, match=r"other.csv: 'width' is not a column; there are kernel"):
        predict_fit(known, target="latency_ms", features=["width"], apply=other, out=out)


def test_targets_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("width,speed\n8,fast\n9,slow\n")
    with pytest.raises(UserError, match=r"table.csv: speed is 'fast' in row 0; only numbers can be predicted"):
        predict_fit(path, target="speed", features=["width"])


def test_architectures_of_a_run_stand_for_their_choices(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    drawn = [SPACE.sample(generator) for _ in range(60)]
    latencies = [0.1 + sum(len(stage.blocks) for stage in each.stages) for each in drawn]
    path = tmp_path / "run.parquet"
    pq.write_table(pa.table({"architecture": [each.to_json() for each in drawn], "latency_ms": latencies}), path)
    out = tmp_path / "out.parquet"
    fitted = predict_fit(path, target="latency_ms", features=["architecture"], apply=path, out=out)
    assert fitted.card.kendall is not None
    assert fitted.card.kendall > 0.8
    assert pq.read_table(out)["architecture"].to_pylist() == [each.to_json() for each in drawn]
    names, steps = [f"net{i % 3}" for i in range(30)], [1.0 + i % 3 for i in range(30)]
    pq.write_table(pa.table({"architecture": names, "latency_ms": steps}), path)
    assert predict_fit(path, target="latency_ms", features=["architecture"]).card.rows == 30


def test_few_rows_and_endless_intervals_are_said(tmp_path: Path) -> None:
    known, new = table(tmp_path / "known.parquet", 20, 0), table(tmp_path / "new.parquet", 5, 1)
    out = tmp_path / "out.parquet"
    fitted = predict_fit(known, target="latency_ms", features=["width"], apply=new, out=out, coverage=0.99)
    assert "the intervals are endless" in fitted.text()
    assert "as latency, by its name (--kind decides)" in fitted.text()


def test_negative_latencies_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("width,latency_ms\n" + "".join(f"{8 + i},{i - 3}\n" for i in range(20)))
    status, _, err = run_cli("predict", "fit", str(path), "--target", "latency_ms", "--features", "width")
    assert status == 2
    assert "latencies must be above 0" in err

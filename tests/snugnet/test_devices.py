"""`snugnet devices`, and what commands say when a run's latencies are not whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from search_space import UserError
from snugnet.commands.devices import devices, known_devices
from snugnet.commands.measure_run import measure_run
from snugnet.commands.report import report
from snugnet.latencies import LATENCIES
from snugnet.run import Run
from tests.journey import trained_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """With a latency of a device whose calibration is gone."""
    opened = Run.open(Path(shutil.copytree(trained_run(), tmp_path / "run")))
    row = dict.fromkeys(LATENCIES.names) | {"device_id": "d" * 16, "id": "a" * 16, "trial": 0, "architecture": "{}"}
    opened.latencies.append([row | {"latency_ms": 1.0}])
    return opened


def test_latencies_that_lost_their_calibration_are_named_with_what_to_do(run: Run) -> None:
    with pytest.raises(UserError, match=rf"{'d' * 16}\.json is missing, .* of 1 latencies; restore it, or .* 2$"):
        devices(run.folder)


@pytest.mark.parametrize("damaged", ["latencies", "parts", "devices"])
def test_what_is_damaged_is_said_at_once(run: Run, damaged: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def connected(*_: object, **__: object) -> None:
        raise AssertionError("Ray started")

    monkeypatch.setattr("snugnet.commands.measure_run.connected", connected)
    place = run.folder / damaged
    place.mkdir(exist_ok=True)
    (place / ("0.json" if damaged == "devices" else "00000099.parquet")).write_bytes(b"no")
    with pytest.raises(UserError, match=r"0\.json is not a calibration|00000099\.parquet is damaged"):
        measure_run(run.folder, architectures=3)


def test_a_report_says_that_latencies_are_damaged(run: Run) -> None:
    (run.folder / "latencies" / "00000099.parquet").write_bytes(b"no")
    with pytest.raises(UserError, match=r"00000099\.parquet is damaged"):
        report(run.folder)


def test_a_run_where_nothing_was_measured_has_no_devices(tmp_path: Path) -> None:
    opened = Run.open(Path(shutil.copytree(trained_run(), tmp_path / "run")))
    for place in (opened.trials.folder, opened.folder / "devices"):
        shutil.rmtree(place)
    assert known_devices(opened) == []
    with pytest.raises(UserError, match=r"has no latencies; run: snugnet measure"):
        devices(opened.folder)

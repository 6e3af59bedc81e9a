"""Energy: RAPL counters that begin again at 0, and machines that have none or keep it to themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from supernet import energy as module
from supernet.energy import energy, rapl

RANGE = 1000 * 10**6


def zones(root: Path, *microjoules: int) -> list[Path]:
    for i, value in enumerate(microjoules):
        zone = root / f"intel-rapl:{i}"
        zone.mkdir()
        (zone / "max_energy_range_uj").write_text(f"{RANGE}\n")
        (zone / "energy_uj").write_text(f"{value}\n")
        inner = root / f"intel-rapl:{i}:0"  # the cores, which the package includes
        inner.mkdir()
        (inner / "energy_uj").write_text("7\n")
    return sorted(root.glob("intel-rapl:[0-9]"))


def test_packages_add_up_and_a_counter_may_begin_again(tmp_path: Path) -> None:
    first, second = zones(tmp_path, RANGE - 2 * 10**6, 5 * 10**6)
    joules, source = rapl(tmp_path)
    assert joules is not None
    assert source == "RAPL"
    assert joules() == 0
    (first / "energy_uj").write_text(f"{3 * 10**6 - 1}\n")  # 2 J to the end of the range, one microjoule to 0, 3 J
    (second / "energy_uj").write_text(f"{6 * 10**6}\n")
    assert joules() == pytest.approx(6)


def test_energy_of_a_call_is_the_mean_over_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (zone,) = zones(tmp_path, 0)
    used = 0

    def call() -> None:
        nonlocal used
        used += 30_000  # 30 mJ
        (zone / "energy_uj").write_text(f"{used}\n")

    monkeypatch.setattr(module, "rapl", lambda: rapl(tmp_path))
    found = energy(call, "cpu", seconds=0.01)
    assert found.per_batch_mj == pytest.approx(30)
    assert found.source == "RAPL"


def test_an_absent_counter_is_said(tmp_path: Path) -> None:
    assert rapl(tmp_path) == (None, "no energy: this machine has no RAPL counter")


def test_a_counter_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (zone,) = zones(tmp_path, 0)
    (zone / "energy_uj").unlink()
    (zone / "energy_uj").mkdir()  # unreadable to root as well
    joules, reason = rapl(tmp_path)
    assert joules is None
    assert "cannot be read" in reason

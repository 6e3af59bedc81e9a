"""What a search shows while it runs."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from search.problem import Problem
from search_space import SearchSpace
from search_space.staged import StagedSpace, StageSpace
from snugnet.forecast import FIRST, Forecast
from snugnet.live import BARS, LiveSearch, sparkline


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    stage = StageSpace((8, 16, 24, 32), (1, 2, 3), {"pooling": {}}, {"none": {}}, {"mlp": {"expansion": (1, 2)}})
    return StagedSpace({"patch": {}}, {"layer": {}}, (stage, replace(stage, downsample={"patch": {}})))


def trials(space: SearchSpace, number: int) -> list[dict[str, Any]]:
    """Accuracy and latency grow with the widths."""
    generator, rows = np.random.default_rng(0), []
    for trial in range(number):
        architecture = space.sample(generator)
        size = sum(stage.width * len(stage.blocks) for stage in architecture.stages)
        row = {"trial": trial, "id": architecture.id, "architecture": architecture.to_json()}
        rows.append({**row, "accuracy": 1 - 1 / size, "latency_ms": float(size)})
    return rows


def test_a_log_says_how_far_it_is_and_what_is_constraining(
    space: SearchSpace, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = trials(space, 12)
    sizes = sorted(row["latency_ms"] for row in rows)
    problem = Problem.parse(space, ["accuracy", "latency_ms"], [f"latency_ms <= {sizes[3]}"])
    within = len([size for size in sizes if size <= sizes[3]])
    with LiveSearch(problem, 12, rows[:4]) as live:
        live.add([*rows[4:11], {**rows[11], "accuracy": None, "error": "too wide"}])
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("trials: 12/12")
    beyond = [row["latency_ms"] > sizes[3] for row in rows[:11]]
    assert f"{sum(beyond)} of 11 miss latency_ms <= {sizes[3]:g}" in line
    assert "1 failed" in line and "on the front" in line and "hypervolume" in line
    assert 0 < within < 12


def test_limits_that_nothing_keeps_say_how_near_the_nearest_is(
    space: SearchSpace, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = trials(space, 5)
    least = min(row["latency_ms"] for row in rows)
    with LiveSearch(Problem.parse(space, ["accuracy"], [f"latency_ms <= {least / 2}"]), 5, []) as live:
        live.add(rows)
    err = capsys.readouterr().err
    assert "hypervolume 0 " in err
    assert f"5 of 5 miss latency_ms <= {least / 2:g}, the nearest by 100%" in err
    assert "0 on the front" in err


def test_a_terminal_shows_the_front(space: SearchSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    rows = trials(space, 30)
    with LiveSearch(Problem.parse(space, ["accuracy", "latency_ms"]), 30, []) as live:
        live.add(rows[:10])
        live.add(rows[10:])
    shown = terminal.getvalue()
    assert "trials: 10/30" in shown and "trials: 30/30" in shown
    for metric, digits in (("accuracy", 4), ("latency_ms", 3)):
        assert all(f"{pick(row[metric] for row in rows):.{digits}f}" in shown for pick in (min, max))


def test_the_bars_rise_from_the_least_to_the_most() -> None:
    assert sparkline([0.0, 1.0]) == BARS[0] + BARS[-1]
    assert sparkline([3.0, 3.0, 3.0]) == BARS[0] * 3
    many = sparkline(list(range(1000)))
    assert len(many) <= 40 and list(many) == sorted(many, key=BARS.index)


def test_predictors_are_judged_by_trials_that_they_have_not_seen(space: SearchSpace) -> None:
    """What follows from the choices is foretold; a lottery is not."""
    rows, generator = trials(space, 60), np.random.default_rng(0)
    lottery = [{**row, "accuracy": generator.random()} for row in rows]
    taus = []
    for given in (rows, lottery):
        forecast = Forecast(Problem.parse(space, ["accuracy", "latency_ms"]))
        forecast.learn(given[: FIRST - 1])
        assert forecast.lines() == []
        forecast.learn(given[:FIRST])
        assert forecast.lines() == []
        forecast.learn(given)
        texts = forecast.lines()
        assert [text.split()[:5] for text in texts] == [
            [m, "of", "the", "last", "40"] for m in ("accuracy", "latency_ms")
        ]
        taus.append([float(text.split()[-1]) for text in texts])
    assert min(taus[0]) > 0.7 and abs(taus[1][0]) < 0.4
    swapped = [{**row, "accuracy": -row["accuracy"]} for row in rows[FIRST:]]
    forecast = Forecast(Problem.parse(space, ["accuracy"]))
    forecast.learn(rows[:FIRST])
    forecast.learn(rows[:FIRST] + swapped)
    assert float(forecast.lines()[0].split()[-1]) < -0.7

"""What a search shows while it runs: how far it is, the front so far, and what holds it back."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table as Grid

from search.front import hypervolume, pareto_front
from search.problem import Problem
from snugnet.commands.front import shown
from snugnet.forecast import Forecast
from snugnet.progress import Progress

MEMBERS = 10
"""Architectures of the front that are shown, evenly spaced."""

FIRST = 12
"""Measured trials whose worst metrics are the reference point of the hypervolume, once and for all."""

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 40
"""Of the history, in characters."""


class LiveSearch(AbstractContextManager["LiveSearch"]):
    """On a terminal a table that is drawn anew; in a log a line now and then."""

    def __init__(self, problem: Problem, total: int, rows: Sequence[dict[str, Any]]) -> None:
        self._problem, self._rows = problem, list(rows)
        self._progress = Progress("trials", total, len(rows))
        self._forecast = Forecast(problem)
        self._history: list[float] = []
        self._live = (
            Live(console=Console(stderr=True, highlight=False), auto_refresh=False) if sys.stderr.isatty() else None
        )
        for end in np.linspace(0, len(self._rows), min(len(self._rows), WIDTH) + 1).astype(int)[1:]:
            self._remember(self._rows[:end])
        self._forecast.learn(self._rows)

    def __enter__(self) -> LiveSearch:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Finished trials."""
        self._rows += rows
        self._remember(self._rows)
        self._forecast.learn(self._rows)
        done = len(self._rows)
        if self._live:
            self._live.update(Group(self._progress.line(done), *self.lines(), self.members()), refresh=True)
        else:
            self._progress(done, "; ".join(self.lines()))

    def lines(self) -> list[str]:
        """One for each thing to know, but the front itself."""
        front = self._front()
        pace = f"{self._progress.pace(len(self._rows)):.1f} trials/s"
        found = [pace, f"{len(front)} on the front"]
        if self._history:
            found.append(f"hypervolume {self._history[-1]:.4g} {sparkline(self._history)}")
        return [*found, *self._limits(), *self._forecast.lines()]

    def members(self) -> Grid:
        """The front, best first in the first objective."""
        names = self._problem.metrics
        grid = Grid("id", *names, box=None)
        front = sorted(self._front(), key=self._problem.objectives[0].loss)
        for i in np.unique(np.linspace(0, len(front) - 1, min(len(front), MEMBERS)).astype(int)) if front else []:
            grid.add_row(front[i]["id"], *(shown(name, front[i][name]) for name in names))
        return grid

    def _front(self) -> list[dict[str, Any]]:
        return pareto_front(self._rows, self._problem.objectives, self._problem.constraints)

    def _remember(self, rows: Sequence[Mapping[str, Any]]) -> None:
        measured = [row for row in rows if self._problem.measured(row)]
        if len(measured) < 2:
            return
        objectives = self._problem.objectives
        reference = [float(max(measured[:FIRST], key=o.loss)[o.metric]) for o in objectives]
        feasible = [row for row in measured if self._problem.violation(row) == 0]
        self._history.append(hypervolume(feasible, objectives, reference))

    def _limits(self) -> list[str]:
        """Which constraints keep trials from the front, and what failed."""
        measured = [row for row in self._rows if self._problem.measured(row)]
        found = []
        for constraint in self._problem.constraints:
            beyond = [constraint.violation(row) for row in measured if constraint.violation(row) > 0]
            if beyond:
                nearest = f", the nearest by {100 * min(beyond):.0f}%" if len(beyond) == len(measured) else ""
                found.append(f"{len(beyond)} of {len(measured)} miss {constraint}{nearest}")
        if failed := len(self._rows) - len(measured):
            found.append(f"{failed} failed")
        return found


def sparkline(values: Sequence[float]) -> str:
    """Numbers as bars from the least to the most, at most WIDTH of them."""
    some = np.array(values)[np.unique(np.linspace(0, len(values) - 1, WIDTH).astype(int))]
    span = float(np.ptp(some)) or 1.0
    return "".join(BARS[int((len(BARS) - 1) * (value - some.min()) / span)] for value in some)

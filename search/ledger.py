"""The ledger of a search: what was asked of its algorithm and is not answered yet, and the rows of what was."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from search.algorithms.algorithm import Algorithm, SpaceExhausted
from search.problem import Row
from search_space import Architecture, UserError

HOPELESS = 8
"""So many failed architectures without a single success end the search."""

OnRows = Callable[[list[dict[str, Any]]], None]


class Ledger:
    """Draws architectures until there are `num_trials` rows; `rows` grows in the order in which they are entered.

    A row is given to `on_rows`, to be stored, before the algorithm learns of it.
    """

    def __init__(self, algorithm: Algorithm, rows: list[dict[str, Any]], num_trials: int, on_rows: OnRows) -> None:
        self.rows = rows
        self.exhausted = False
        self.num_out = 0
        self._algorithm = algorithm
        self._num_trials = num_trials
        self._on_rows = on_rows
        self._num_before = len(rows)

    @property
    def is_drawn(self) -> bool:
        """Whether nothing is left to draw."""
        return self.exhausted or len(self.rows) + self.num_out >= self._num_trials

    def draw(self, size: int) -> list[Architecture]:
        """Up to `size` architectures to evaluate; none when all that are wanted are out or entered."""
        drawn: list[Architecture] = []
        wanted = min(size, self._num_trials - len(self.rows) - self.num_out)
        try:
            while not self.exhausted and len(drawn) < wanted:
                drawn.append(self._algorithm.ask())
        except SpaceExhausted:
            self.exhausted = True
        self.num_out += len(drawn)
        return drawn

    def enter(self, batch: Sequence[Architecture], measured: Sequence[Row]) -> None:
        """The rows of architectures that were drawn. Raises UserError when nothing that was evaluated ever worked."""
        self.num_out -= len(batch)
        rows = [
            {
                **self._explained(metrics),
                "trial": trial,
                "id": architecture.id,
                "architecture": architecture.to_json(),
                "algorithm": self._algorithm.name,
                "seed": self._algorithm.seed,
            }
            for trial, (architecture, metrics) in enumerate(zip(batch, measured, strict=True), start=len(self.rows))
        ]
        self._on_rows(rows)
        self.rows += rows
        for architecture, row in zip(batch, rows, strict=True):
            self._algorithm.tell(architecture, row)
        self._give_up_if_hopeless()

    def _explained(self, row: Row) -> dict[str, Any]:
        """The row, its `error` naming the metrics that are wanted and are no numbers, where nothing else went wrong."""
        found = {name: row.get(name) for name in self._algorithm.problem.metrics}
        wrong = [f"{name} is {value}" for name, value in found.items() if value is None or not math.isfinite(value)]
        return {"error": ", ".join(wrong), **row} if wrong else dict(row)

    def _give_up_if_hopeless(self) -> None:
        done = self.rows[self._num_before :]
        if any(self._algorithm.problem.measured(row) for row in done):
            return
        if len(done) >= HOPELESS or len(self.rows) == self._num_trials:
            reason = done[-1]["error"].splitlines()[0]
            raise UserError(f"none of {len(done)} architectures could be evaluated; the last error was: {reason}")

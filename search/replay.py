"""`search.run`: any algorithm on a finished table, in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from search.algorithms.algorithm import SpaceExhausted
from search.algorithms.registry import make_algorithm
from search.table import TableProblem
from search_space import UserError


def run(
    problem: TableProblem,
    *,
    algorithm: str = "guided",
    trials: int = 100,
    seed: int = 0,
    on_row: Callable[[dict[str, Any]], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """The rows in the order in which the algorithm asked for them, each once; fewer where the table has fewer.

    `on_row` gets each row when it is evaluated. Raises UserError for an algorithm that does not exist or numbers that
    make no sense.
    """
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
        raise UserError(f"trials={trials!r} must be a whole number, at least 1")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UserError(f"seed={seed!r} must be a whole number, 0 or more")
    made, rows = make_algorithm(algorithm, problem, seed), list[dict[str, Any]]()
    while len(rows) < trials:
        try:
            asked = made.ask()
        except SpaceExhausted:
            break
        rows += map(dict, problem.evaluate([asked]))
        made.tell(asked, rows[-1])
        on_row(rows[-1])
    return rows

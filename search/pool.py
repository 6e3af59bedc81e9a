"""The pool: long-lived Ray actors that evaluate batches. Whatever happens to one, what it was given is answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import ray

from search.crew import Crew
from search.ledger import Ledger
from search.team import Batch, Part, Team

POLL_S = 0.2
"""How often the pool looks up while nothing is answered: for signals and workers that hang."""

HIRE_S = 1.0
"""How often it looks for machines that came or went."""

MAX_LOSSES = 2
"""An architecture has failed when so many workers were lost while each had it alone."""


class Pool:
    """Evaluates what a ledger draws on the workers of all crews; every architecture is answered by each crew once."""

    def __init__(self, ledger: Ledger, crews: Sequence[Crew], batch_size: int, code: bytes) -> None:
        # Through the object store: to each machine once, however many workers it has.
        shared = ray.put(code)
        # Where machines are rare, their workers come first, so that others do not take their cores.
        ordered = sorted(crews, key=lambda crew: -len(crew.resources))
        self._teams = [Team(crew, shared, ray.put(ray.cloudpickle.dumps(crew.factory))) for crew in ordered]
        self._ledger = ledger
        self._batch_size = batch_size

    def run(self, stop: Callable[[], bool]) -> None:
        """Until the ledger has nothing more to draw, or, after `stop`, until what is out is answered.

        Raises UserError and RuntimeError as `run_search` does.
        """
        hired = -float("inf")
        try:
            while True:
                if time.monotonic() - hired > HIRE_S:
                    self._hire()
                    hired = time.monotonic()
                stopping = stop()
                if not stopping:
                    self._draw()
                if self._ledger.num_out == 0 and (stopping or self._ledger.is_drawn):
                    return
                for team in self._teams:
                    team.assign()
                self._collect()
        finally:
            for team in self._teams:
                for post in [*team.idle, *team.busy.values()]:
                    ray.kill(post.actor)

    def _hire(self) -> None:
        left = dict(ray.cluster_resources())
        for team in self._teams:
            team.hire(left)
            for name, each in team.crew.needs.items():
                left[name] = left.get(name, 0.0) - each * (len(team.idle) + len(team.busy))

    def _draw(self) -> None:
        """While some worker has nothing to do and no crew lags behind by more than it can do at once."""
        while any(len(team.waiting) < len(team.idle) for team in self._teams) and all(
            len(team.waiting) <= max(1, len(team.idle) + len(team.busy)) for team in self._teams
        ):
            drawn = self._ledger.draw(self._batch_size)
            if not drawn:
                return
            batch = Batch(drawn, [{} for _ in drawn], len(drawn) * len(self._teams))
            for team in self._teams:
                team.waiting.append(Part(batch, list(range(len(drawn)))))

    def _collect(self) -> None:
        """Take in what is answered, waiting a moment for it."""
        owners = {answer: team for team in self._teams for answer in team.busy}
        if not owners:
            time.sleep(POLL_S)
            return
        answered, _ = ray.wait(list(owners), num_returns=1, timeout=POLL_S)
        for answer in answered:
            self._take(owners[answer], answer)
        for team in self._teams:
            for answer in team.overdue():
                post = team.busy.pop(answer)
                ray.kill(post.actor)
                assert post.part is not None
                self._lost(team, post.part, f"it took more than {team.crew.timeout_s:g} s")

    def _take(self, team: Team, answer: Any) -> None:
        post = team.busy.pop(answer)
        part, post.part = post.part, None
        try:
            found = ray.get(answer)
        except ray.exceptions.RayError:  # the worker died, or its machine, and others with it
            ray.kill(post.actor)
            for each in self._teams:
                each.muster()
            team.lose(post)
            if part is not None:
                self._lost(team, part, "every worker that evaluated it died")
            return
        if part is None:
            team.begin(post, found)
        else:
            self._answer(part, found)
        team.idle.append(post)

    def _lost(self, team: Team, part: Part, why: str) -> None:
        """Others try each architecture alone, so that one that no worker survives takes no other with it."""
        alone = len(part.at) == 1
        if alone and part.losses + 1 >= MAX_LOSSES:
            self._answer(part, [{"error": why}])
        else:
            team.waiting.extendleft(Part(part.batch, [i], part.losses + alone) for i in reversed(part.at))

    def _answer(self, part: Part, found: list[dict[str, Any]]) -> None:
        batch = part.batch
        for i, row in zip(part.at, found, strict=True):
            seconds = batch.rows[i].get("seconds", 0.0) + row.get("seconds", 0.0)
            batch.rows[i] = {**row, **batch.rows[i], "seconds": seconds}
        batch.num_open -= len(part.at)
        if batch.num_open == 0:
            self._ledger.enter(batch.architectures, batch.rows)

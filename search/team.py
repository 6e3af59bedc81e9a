"""A team: the workers of one crew while a search runs, and what waits for them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray

import search.worker
from search.crew import Crew
from search.worker import Worker
from search_space import Architecture, UserError

# The machines need nothing of this project to start one.
ray.cloudpickle.register_pickle_by_value(search.worker)

MAX_FALSE_STARTS = 5
"""The search fails when so many workers of a crew in a row are lost before they are ready."""

BEREFT_S = 60
"""How long a team waits for the cluster to hold one of its workers again."""


@dataclass(eq=False)
class Batch:
    """Architectures that were drawn together, and what is known of each so far."""

    architectures: list[Architecture]
    rows: list[dict[str, Any]]
    num_open: int
    """Answers still to come: one of each crew for each architecture."""


@dataclass(eq=False)
class Part:
    """Some of a batch, as one crew has yet to answer it."""

    batch: Batch
    at: list[int]
    losses: int = 0
    """Workers that were lost while they had it."""


@dataclass(eq=False)
class Post:
    """A worker of a crew and what it is doing."""

    actor: Any
    part: Part | None = None
    since: float = 0.0
    is_ready: bool = False


class Team:
    """The workers of one crew, and what waits for them."""

    def __init__(self, crew: Crew, code: Any, factory: Any) -> None:
        self.crew = crew
        self.waiting: deque[Part] = deque()
        self.idle: list[Post] = []
        self.busy: dict[Any, Post] = {}
        self._code, self._factory = code, factory
        self._held_at = time.monotonic()
        self._num_false_starts = 0

    def hire(self, resources: Mapping[str, float]) -> None:
        """As many workers as the crew wants, or as the resources hold. Raises UserError where they hold none for
        BEREFT_S.
        """
        room = self.crew.room(resources)
        if room > 0 or self.idle or any(post.part for post in self.busy.values()):
            self._held_at = time.monotonic()
        elif time.monotonic() - self._held_at > BEREFT_S:
            raise UserError(
                f"{self.crew.refusal(resources)}, for {BEREFT_S} s now; "
                "what was finished is kept, and the same command continues"
            )
        while len(self.idle) + len(self.busy) < (self.crew.workers or room):
            actor = (
                ray.remote(Worker)
                .options(num_cpus=self.crew.cpus, num_gpus=self.crew.gpus, resources=dict(self.crew.resources))
                .remote(self._code, self._factory)
            )
            self._ask_whether_ready(Post(actor))

    def muster(self) -> None:
        """Find out which of the idle are still there."""
        while self.idle:
            self._ask_whether_ready(self.idle.pop())

    def begin(self, post: Post, missing: Mapping[str, str]) -> None:
        """Raises UserError or RuntimeError where the worker has no evaluator."""
        if "refused" in missing:
            raise UserError(missing["refused"])
        if "broken" in missing:
            raise RuntimeError(f"the evaluator could not be built on a worker:\n{missing['broken']}")
        post.is_ready, self._num_false_starts = True, 0

    def lose(self, post: Post) -> None:
        """Raises RuntimeError when workers do not even come to be ready."""
        self._num_false_starts += not post.is_ready
        if self._num_false_starts >= MAX_FALSE_STARTS:
            raise RuntimeError(f"{MAX_FALSE_STARTS} workers in a row died before they were ready; is memory left?")

    def _ask_whether_ready(self, post: Post) -> None:
        self.busy[post.actor.missing.remote()] = post

    def assign(self) -> None:
        while self.waiting and self.idle:
            post, part = self.idle.pop(), self.waiting.popleft()
            post.part, post.since = part, time.monotonic()
            self.busy[post.actor.rows.remote([part.batch.architectures[i].to_json() for i in part.at])] = post

    def overdue(self) -> list[Any]:
        """Answers of workers that have taken longer than the crew may."""
        if self.crew.timeout_s is None:
            return []
        now, limit = time.monotonic(), self.crew.timeout_s
        return [
            answer
            for answer, post in self.busy.items()
            if post.part is not None and now - post.since > limit * len(post.part.at)
        ]

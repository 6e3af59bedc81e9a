"""Progress on standard error: a live line on a terminal, a line now and then in a log."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

LOG_EVERY_SECONDS = 5.0


class Interrupted(Exception):
    """A signal ended long work; what was done is kept. The message says how to go on."""


@contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Inside, SIGINT and SIGTERM only ask to stop after the current step: whether one did is what the value says.

    A second SIGINT ends at once, with what was last written.
    """
    asked: list[int] = []

    def ask_to_stop(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and number in asked:
            raise KeyboardInterrupt
        asked.append(number)

    handlers = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@dataclass
class Progress:
    """`progress(done, note)` says how much of `total` is done and how long the rest will take at the pace so far.

    A resumed job starts with `done` above 0: its pace counts only what this process did.
    """

    what: str
    total: int
    done: int = 0
    _started: float = field(default_factory=time.monotonic)
    _last: float = float("-inf")
    _first: int = field(init=False)

    def __post_init__(self) -> None:
        self._first = self.done

    def pace(self, done: int) -> float:
        """How much of it this process did per second, once `done` is done."""
        return (done - self._first) / max(time.monotonic() - self._started, 1e-9)

    def line(self, done: int) -> str:
        """How far it is, without a note."""
        spent = time.monotonic() - self._started
        line = f"{self.what}: {done}/{self.total}  {clock(spent)} spent"
        if self._first < done < self.total:
            line += f", {clock(spent * (self.total - done) / (done - self._first))} left"
        return line

    def __call__(self, done: int, note: str = "") -> None:
        self.done = done
        now = time.monotonic()
        live = sys.stderr.isatty()
        if done < self.total and now - self._last < (0.1 if live else LOG_EVERY_SECONDS):
            return
        self._last = now
        line = self.line(done) + (f"  {note}" if note else "")
        ending = "\n" if not live or done >= self.total else ""
        sys.stderr.write(f"\r\x1b[K{line}{ending}" if live else line + ending)
        sys.stderr.flush()


def say(line: str) -> None:
    """One line for a person, on standard error: standard output belongs to the result."""
    print(line, file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """`75.2` -> `1:15`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

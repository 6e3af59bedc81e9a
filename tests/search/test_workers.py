"""Work on a real, private Ray cluster: what workers tell, what they keep, and how they fail."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
import torch.distributed as dist

import search.workers
from search.workers import Line, work_together
from search_space import UserError

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.xdist_group("distributed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]


def count_to_4(line: Line) -> None:
    """From the number in the state; at 2, a worker that began at 0 dies."""
    begun = int(line.state)
    for number in range(begun + 1, 5):
        if dist.get_rank() == 0:
            line.keep(number, str(number).encode())
        dist.barrier()
        if number == 2 and begun == 0 and dist.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        dist.barrier()


def refuse(line: Line) -> None:
    if dist.get_rank() == 1:
        raise UserError("not like this")
    dist.barrier()


def fail(line: Line) -> None:
    raise ZeroDivisionError("on purpose")


def test_a_lost_worker_makes_all_begin_again_from_what_was_kept_last() -> None:
    told: list[tuple[Any, bytes | None]] = []
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    work_together(count_to_4, b"0", lambda *message: told.append(message), num_workers=2)
    assert told == [(number, str(number).encode()) for number in (1, 2, 3, 4)]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_one_worker_that_refuses_ends_the_work_of_all() -> None:
    with pytest.raises(UserError, match="not like this"):
        work_together(refuse, b"", lambda *_: None, num_workers=2)


def test_work_that_always_fails_ends_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search.workers, "MAX_FAILURES", 0)
    with pytest.raises(RuntimeError, match=r"(?s)do not begin again.*ZeroDivisionError: on purpose"):
        work_together(fail, b"", lambda *_: None, num_workers=2)

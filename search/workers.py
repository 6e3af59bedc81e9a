"""Work that many workers do together: Ray Train joins them to a process group, and begins again when one is lost."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from search.cluster import CLIENT, LOCAL, connected
from search.scratch import scratch_folder
from search_space import UserError

MAX_FAILURES = 10
"""How often work is begun again after a worker was lost."""

POLL_S = 0.2
"""How often the caller looks for messages."""

QUIET = {
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


class Desk:
    """Between the workers and the caller, on the caller's machine: an actor that outlives any worker."""

    def __init__(self, state: bytes) -> None:
        self._state = state
        self._messages: list[Any] = []
        self._stopping = False
        self._refusal: str | None = None

    def begin(self) -> tuple[bytes, str | None]:
        """The last state that was kept, and why nobody need work if one has refused."""
        return self._state, self._refusal

    def tell(self, message: Any, state: bytes | None = None) -> bool:
        """Leave a message, and a state to begin from; whether to stop."""
        self._state = self._state if state is None else state
        self._messages.append((message, state))
        return self._stopping

    def refuse(self, reason: str) -> None:
        self._refusal = self._refusal or reason

    def take(self, stopping: bool) -> tuple[list[Any], str | None]:
        """The messages since the last call, each with its state or None, and the refusal if there was one."""
        messages, self._messages = self._messages, []
        self._stopping = stopping
        return messages, self._refusal


@dataclass
class Line:
    """A worker's line to the desk. `state` is what it begins from."""

    desk: Any
    state: bytes
    _stopping: bool = False
    _reply: Any = None

    def tell(self, message: Any) -> None:
        """Send to the caller's `on_message`, without waiting."""
        self._reply = self.desk.tell.remote(message)

    def keep(self, message: Any, state: bytes) -> None:
        """The same with a state, from which all workers begin again if one is lost from now on."""
        import ray

        self._stopping = ray.get(self.desk.tell.remote(message, state))

    def stopping(self) -> bool:
        """Whether the caller has asked to stop, as far as is known from replies to messages."""
        import ray

        if self._reply is not None and ray.wait([self._reply], timeout=0)[0]:
            self._stopping, self._reply = ray.get(self._reply), None
        return self._stopping


def work_together(
    work: Callable[[Line], None],
    state: bytes,
    on_message: Callable[[Any, bytes | None], None],
    *,
    num_workers: int,
    address: str = LOCAL,
    cpus: float = 1.0,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Run `work` on up to `num_workers` at once, in a process group of `torch.distributed`, until it returns on all.

    work: travels to the workers through Ray with all that it closes over, so they need this project installed and no
        shared file system. When a worker or its machine dies, all begin anew with the state that was kept last, on as
        many workers as the cluster then holds; so they do when it comes to hold more again.
    on_message: called here with what workers tell, in order; with the state where one is kept, else with None.
    stop: asked here again and again; once true, `Line.stopping` becomes true, and work should keep its state and end.
    cpus: what each worker holds.

    Raises UserError when no cluster answers or it lacks the resources, or when work raised one; RuntimeError when it
    failed otherwise, again and again.
    """
    if address.startswith(CLIENT):
        raise UserError(f"{address} cannot train: run on a node of the cluster and give host:port or auto")
    with environment(QUIET), connected(address, min_cpus=cpus * num_workers):
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        available = ray.cluster_resources().get("CPU", 0.0)
        if available < cpus * num_workers:
            raise UserError(f"{num_workers} workers need {cpus * num_workers:g} CPU and the cluster has {available:g}")
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        desk = ray.remote(Desk).options(num_cpus=0, scheduling_strategy=here).remote(state)
        failures: list[BaseException] = []
        thread = threading.Thread(target=_fit, args=(work, desk, num_workers, cpus, failures), daemon=True)
        thread.start()
        running = True
        while running:
            thread.join(POLL_S)
            running = thread.is_alive()
            messages, refusal = ray.get(desk.take.remote(stop()))
            for message, kept in messages:
                on_message(message, kept)
    if refusal is not None:
        raise UserError(refusal)
    if failures:
        raise RuntimeError(f"the workers failed and do not begin again: {failures[0]}") from failures[0]


def _fit(work: Callable[[Line], None], desk: Any, num_workers: int, cpus: float, failures: list[BaseException]) -> None:
    """In a thread of its own: in the main thread, Ray Train would abort at the first SIGINT."""
    try:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer

        with scratch_folder() as folder:
            TorchTrainer(
                _Worker(work, desk),
                scaling_config=ScalingConfig(num_workers=(1, num_workers), resources_per_worker={"CPU": cpus}),
                run_config=RunConfig(storage_path=str(folder), failure_config=FailureConfig(max_failures=MAX_FAILURES)),
            ).fit()
    except Exception as failure:
        failures.append(failure)


@contextmanager
def environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@dataclass(frozen=True)
class _Worker:
    """What Ray runs on each worker."""

    work: Callable[[Line], None]
    desk: Any

    def __call__(self) -> None:
        import ray
        from ray.train.collective import barrier

        state, refusal = ray.get(self.desk.begin.remote())
        barrier()  # else one might keep a state before another has begun
        if refusal is not None:
            return
        try:
            self.work(Line(self.desk, state))
        except UserError as error:
            # The others may wait for this worker: only its loss makes them begin again, and see the refusal.
            ray.get(self.desk.refuse.remote(str(error)))
            raise

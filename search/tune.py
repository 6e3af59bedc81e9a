"""The search: an algorithm proposes, Ray Tune evaluates on many workers, and the caller keeps every finished row."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from search.algorithms.algorithm import Algorithm, replay
from search.cluster import LOCAL, connected
from search.outcome import Ending, SearchOutcome
from search.problem import Evaluate
from search.scratch import scratch_folder
from search_space import UserError

if TYPE_CHECKING:
    from search.bridge import Bridge

Returned = TypeVar("Returned")


def run_search(
    algorithm: Algorithm,
    evaluator_factory: Callable[[], Evaluate],
    rows: Sequence[dict[str, Any]],
    num_trials: int,
    on_rows: Callable[[list[dict[str, Any]]], None],
    *,
    address: str = LOCAL,
    batch_size: int = 4,
    workers: int | None = None,
    cpus: float = 1.0,
    gpus: float = 0.0,
    resources: Mapping[str, float] | None = None,
) -> SearchOutcome:
    """Evaluate architectures until there are `num_trials` rows, those given included.

    algorithm: fresh; `rows`, the finished trials of earlier runs, are told to it, so that the same call goes on where
        the last one stopped and no architecture is evaluated twice.
    evaluator_factory: called once in each worker. What it closes over travels there through Ray, so workers need this
        project installed and no shared file system. Where the evaluator raises for an architecture, its row has an
        `error` and no metrics. A batch whose worker dies is evaluated again.
    on_rows: called here with the rows of each finished batch, before the algorithm learns of them, to store them.
    workers: actors at a time; None takes as many as the cluster holds at once.
    cpus, gpus, resources: what each worker holds while it lives; `resources` are those that nodes of a cluster name
        themselves, such as the device that they have.

    SIGINT ends the search with the rows finished so far. Raises UserError when no cluster answers at `address` or it
    lacks the resources, when the evaluator refuses to be built, or when none of the first architectures could be
    evaluated; RuntimeError when building the evaluator fails otherwise.
    """
    replay(algorithm, rows)
    if len(rows) >= num_trials:
        return SearchOutcome(algorithm.problem, list(rows), "complete")
    with handlers_kept(), connected(address, min_cpus=cpus * (workers or 1)):
        from search.bridge import Bridge

        num_workers = _num_workers(workers, cpus, gpus, resources or {})
        bridge = Bridge(algorithm, list(rows), num_trials, batch_size, on_rows)
        _tune(bridge, evaluator_factory, num_workers, {"cpu": cpus, "gpu": gpus, **(resources or {})})
    if bridge.failure:
        raise bridge.failure from None
    ending: Ending = "interrupted"
    if len(bridge.rows) >= num_trials:
        ending = "complete"
    elif bridge.exhausted and bridge.is_idle:
        ending = "exhausted"
    return SearchOutcome(algorithm.problem, bridge.rows, ending)


def _tune(bridge: Bridge, evaluator_factory: Callable[[], Evaluate], workers: int, resources: dict[str, float]) -> None:
    from ray import tune

    from search.bridge import MAX_FAILURES
    from search.evaluation import Evaluation

    trainable = tune.with_parameters(Evaluation, evaluator_factory=evaluator_factory)
    quiet = {
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
    }
    with scratch_folder() as folder, environment(quiet):
        tune.run(
            tune.with_resources(trainable, resources),
            search_alg=bridge,
            num_samples=-1,
            max_concurrent_trials=workers,
            reuse_actors=True,
            max_failures=MAX_FAILURES,
            raise_on_failed_trial=False,
            storage_path=str(folder),
            verbose=0,
        )


def call_once(function: Callable[[], Returned], resources: Mapping[str, float]) -> Returned:
    """What the function returns on a worker that has the resources; Ray is connected. Raises UserError as it does."""
    import ray

    def call() -> Returned:  # Ray takes no other callable
        return function()

    _num_workers(1, 1.0, 0.0, resources)
    try:
        return ray.get(ray.remote(call).options(num_cpus=1, resources=dict(resources)).remote())
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise


def _num_workers(workers: int | None, cpus: float, gpus: float, resources: Mapping[str, float]) -> int:
    """As many as asked for, or as many as the cluster holds at once.

    Raises UserError when not even one fits: Ray would wait for ever.
    """
    import ray

    cluster = ray.cluster_resources()
    needs = {name: each for name, each in {"CPU": cpus, "GPU": gpus, **resources}.items() if each}
    for name, each in needs.items():
        if cluster.get(name, 0.0) < each:
            raise UserError(f"each worker needs {each:g} {name} and the cluster has {cluster.get(name, 0.0):g} in all")
    return workers or int(min(cluster[name] // each for name, each in needs.items()))


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


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Ray and Tune set signal handlers and leave them behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)

"""Launch a search: an algorithm proposes, workers of a Ray cluster measure, and the caller keeps every finished row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from search.algorithms.algorithm import Algorithm, replay
from search.cluster import LOCAL, connected
from search.code import packed
from search.crew import Crew
from search.ledger import Ledger, OnRows
from search.outcome import Ending, SearchOutcome
from search_space import UserError

Returned = TypeVar("Returned")


def run_search(
    algorithm: Algorithm,
    crews: Crew | Sequence[Crew],
    rows: Sequence[dict[str, Any]],
    num_trials: int,
    on_rows: OnRows,
    *,
    address: str = LOCAL,
    batch_size: int = 4,
    packages: Iterable[str] = (),
    stop: Callable[[], bool] = lambda: False,
) -> SearchOutcome:
    """Evaluate architectures until there are `num_trials` rows, those given included.

    algorithm: fresh; `rows`, the finished trials of earlier runs, are told to it, so that the same call goes on where
        the last one stopped and no architecture is evaluated twice.
    crews: each measures a part of every row. Where it raises for an architecture, the row has an `error`. What a worker
        was given when it died, or hung for longer than its crew may, is evaluated again.
    on_rows: called here with the rows of each finished batch, before the algorithm learns of them, to store them.
    packages: whose code travels to the workers of a cluster that runs already, whatever is installed there.
    stop: asked here again and again; once true, what is out is finished and nothing more begun.

    Raises UserError when no cluster answers at `address` or it lacks the resources, when an evaluator refuses to be
    built, or when none of the first architectures could be evaluated; RuntimeError when building it fails otherwise.
    """
    replay(algorithm, rows)
    ledger = Ledger(algorithm, list(rows), num_trials, on_rows)
    if len(rows) < num_trials:
        crews = [crews] if isinstance(crews, Crew) else list(crews)
        with connected(address, min_cpus=sum(crew.cpus * (crew.workers or 1) for crew in crews)):
            from search.pool import Pool

            for crew in crews:
                _check_room(crew)
            Pool(ledger, crews, batch_size, b"" if address == LOCAL else packed(packages)).run(stop)
    ending: Ending = "interrupted"
    if len(ledger.rows) >= num_trials:
        ending = "complete"
    elif ledger.exhausted:
        ending = "exhausted"
    return SearchOutcome(algorithm.problem, ledger.rows, ending)


def call_once(function: Callable[[], Returned], resources: Mapping[str, float]) -> Returned:
    """What the function returns on a worker that has the resources; Ray is connected. Raises UserError as it does."""
    import ray

    def call() -> Returned:  # Ray takes no other callable
        return function()

    _check_room(Crew(lambda: lambda _: [], resources=resources))
    try:
        return ray.get(ray.remote(call).options(num_cpus=1, resources=dict(resources)).remote())
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise


def _check_room(crew: Crew) -> None:
    """Raises UserError when not even one worker fits: Ray would wait for ever."""
    import ray

    resources = ray.cluster_resources()
    if crew.room(resources) < 1:
        raise UserError(crew.refusal(resources))

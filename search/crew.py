"""A crew: workers of one kind, what each of them measures, and what it takes of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from search.problem import Evaluate


@dataclass(frozen=True)
class Crew:
    """`factory` is called once in each worker. What it closes over travels there through Ray.

    workers: at a time; None takes as many as the cluster holds.
    cpus, gpus, resources: what each holds while it lives; `resources` are those that machines of a cluster name
        themselves, such as the device that they have.
    timeout_s: how long one architecture may take.
    """

    factory: Callable[[], Evaluate]
    cpus: float = 1.0
    gpus: float = 0.0
    resources: Mapping[str, float] = field(default_factory=dict)
    workers: int | None = None
    timeout_s: float | None = None

    @property
    def needs(self) -> dict[str, float]:
        """Of each worker, by Ray's names."""
        return {name: each for name, each in {"CPU": self.cpus, "GPU": self.gpus, **self.resources}.items() if each}

    def room(self, resources: Mapping[str, float]) -> int:
        """How many workers these resources hold at once."""
        return int(min((resources.get(name, 0.0) // each for name, each in self.needs.items()), default=1))

    def refusal(self, resources: Mapping[str, float]) -> str:
        """Why they hold none."""
        missing = [(name, each) for name, each in self.needs.items() if resources.get(name, 0.0) < each]
        return "; ".join(
            f"each worker needs {each:g} {name} and the cluster has {resources.get(name, 0.0):g} in all"
            for name, each in missing
        )

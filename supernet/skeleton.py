"""Networks without values: all modules and shapes of an architecture, on the meta device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from search_space import Architecture, Component
from supernet.network import Make, Network, Task
from supernet.registry import make

MODULES = 2**14
"""How many different modules are kept for networks to come."""


def skeleton(architecture: Architecture, task: Task, make: Make = make) -> Network:
    """The network on the meta device: all of its modules and shapes, no values. About 4 ms."""
    with torch.device("meta"), _WithoutInitialisation():
        return Network(architecture, task, make)


class Skeletons:
    """Skeletons that have their components in common, which makes a new one several times faster.

    Architectures of one space differ in few of their components. The same module may stand in many networks, but never
    twice in one; whoever gives it values, a mode or a hook does so for one network at a time.
    """

    def __init__(self) -> None:
        self._made: dict[Hashable, list[nn.Module]] = {}

    def __call__(self, architecture: Architecture, task: Task) -> Network:
        """The architecture's skeleton, of modules that others may have too."""
        if len(self._made) > MODULES:
            self._made.clear()
        taken: Counter[Hashable] = Counter()

        def take(kind: str, choice: Component, *sizes: int, ndim: int) -> nn.Module:
            key = (kind, choice, sizes, ndim)
            made = self._made.setdefault(key, [])
            if taken[key] == len(made):
                made.append(make(kind, choice, *sizes, ndim=ndim))
            taken[key] += 1
            return made[taken[key] - 1]

        return skeleton(architecture, task, take)


INITIALISERS = (Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_, Tensor.mul_, Tensor.clamp_)


class _WithoutInitialisation(TorchFunctionMode):
    """Drawing initial values costs ten times the rest of building a module on the meta device, which has none."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if func in INITIALISERS or getattr(func, "__module__", None) == nn.init.__name__:
            tensor = args[0] if args else kwargs["tensor"]
            if tensor.is_meta:
                return tensor
        return func(*args, **(kwargs or {}))

"""Supernet(space, task): one set of weights for every architecture of a space."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import torch
from torch import Tensor, nn

from search_space import Architecture, Scalar, SearchSpace, UserError
from supernet.foreign import refuse_what_cannot_stand
from supernet.network import Network, Task
from supernet.skeleton import Skeletons, skeleton
from supernet.slicing import centred_in, cut

SKELETONS = 512
"""How many meta-device networks are kept; one takes about a millisecond to build."""

VIEWS = 2**14
"""How many views of shared weights are kept; making one takes several times as long as finding it."""

_CHOSEN = re.compile(r"^(stem|stages\.\d+\.downsample|stages\.\d+\.blocks\.\d+\.(?:mixer|gate|ffn))\.")


@dataclass(frozen=True)
class Part:
    """Where one parameter of a subnet lies: which shared weight, the shape of the part, its centred axes."""

    name: str
    shared: str
    shape: torch.Size
    centred: tuple[int, ...]


Slot = tuple[dict[str, Any], str]
"""Where a network keeps one parameter: a module's parameters, and its name among them."""


Known = tuple[Network, list[Part], list[Slot], list[Tensor]]
"""A network on the meta device, and for each of its parameters where it lies, where it goes, and what it shows."""


def _contiguous(view: Tensor) -> Tensor:
    return view if view.is_contiguous() else view.contiguous().requires_grad_()


def _fill(slots: Iterable[Slot], values: Iterable[Tensor | None]) -> None:
    """What `torch.func.functional_call` does, without looking for the modules each time."""
    for (parameters, key), value in zip(slots, values, strict=True):
        parameters[key] = value


class Supernet(nn.Module):
    """The parameters of the largest version of every choice in every place, and the one rule that shares them.

    `weights` holds each shared parameter under the name it has in a Network, with the chosen component's name put in:
    `stages/0/blocks/1/mixer/depthwise/conv/weight`. What stands outside a chosen component (norms, scales, head) is
    shared by all choices. Nothing here depends on which architecture ran last.
    """

    def __init__(self, space: SearchSpace, task: Task, *, seed: int = 0) -> None:
        super().__init__()
        self.space = space
        self.task = task
        self.weights = nn.ParameterDict()
        self._skeletons = Skeletons()
        self._networks: OrderedDict[str, Known] = OrderedDict()
        self._in_mode: set[str] = set()
        self._views: dict[tuple[str, torch.Size], Tensor] = {}
        refuse_what_cannot_stand(space, task.ndim)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for architecture in space.covering():
                self._adopt(architecture)
        for size in ("narrowest", "smallest"):
            for architecture in space.covering(size):
                self._refuse_what_does_not_fit(architecture)

    def _adopt(self, architecture: Architecture) -> None:
        chosen = architecture.flat()
        for name, parameter in Network(architecture, self.task).named_parameters():
            shared = shared_name(name, chosen)
            if shared not in self.weights:
                self.weights[shared] = parameter
            elif self.weights[shared].shape != parameter.shape:
                raise ValueError(f"{shared} has shape {tuple(parameter.shape)} in one place and another elsewhere")

    def _refuse_what_does_not_fit(self, architecture: Architecture) -> None:
        """A component that needs more width refuses here, not in the middle of a search; so does one whose options take
        parameters away as they grow.
        """
        for part, _ in _places(skeleton(architecture, self.task), architecture):
            shared = self.weights.get(part.shared)
            fits = shared is not None and len(part.shape) == shared.dim()
            if shared is None or not fits or any(a > b for a, b in zip(part.shape, shared.shape, strict=True)):
                held = "none" if shared is None else str(tuple(shared.shape))
                raise UserError(
                    f"{part.name} has the shape {tuple(part.shape)} in a small architecture and {held} in the largest: "
                    "no parameter may shrink or go as a width or option grows; declare fewer values in [search_space]"
                )

    def skeleton(self, architecture: Architecture) -> tuple[Network, list[Part]]:
        """The architecture's network on the meta device (no values) and where each of its parameters lies. Cached."""
        return self._known(architecture)[:2]

    def _known(self, architecture: Architecture) -> Known:
        name = architecture.id  # hashing the architecture itself takes a thousand times longer
        known = self._networks.get(name)
        if known is None:
            network = self._skeletons(architecture, self.task)
            parts, slots = map(list, zip(*_places(network, architecture), strict=True))
            known = network, parts, slots, [self._view(part) for part in parts]
            self._networks[name] = known
            if len(self._networks) > SKELETONS:
                self._in_mode.discard(self._networks.popitem(last=False)[0])
        self._networks.move_to_end(name)
        if name not in self._in_mode:
            known[0].train(self.training)
            self._in_mode.add(name)
        return known

    def weights_for(self, architecture: Architecture) -> dict[str, Tensor]:
        """The architecture's parameters, cut from the shared ones; contiguous; gradients flow to the shared ones.

        Contiguous, because some kernels give another last bit for strided weights.
        """
        _, parts, _, views = self._known(architecture)
        if not torch.is_grad_enabled():
            return {p.name: _contiguous(view) for p, view in zip(parts, views, strict=True)}
        return {p.name: cut(self.weights[p.shared], p.shape, p.centred).contiguous() for p in parts}

    def leaves_for(self, architecture: Architecture) -> dict[str, Tensor]:
        """The same values as autograd leaves, for training: no gradient is ever written at the shared size.

        A backward pass leaves the gradients on these; `SubnetAdamW.accumulate` puts them in their place.
        """
        _, parts, _, views = self._known(architecture)
        return {p.name: view.detach().contiguous().requires_grad_() for p, view in zip(parts, views, strict=True)}

    def leaf(self, part: Part) -> Tensor:
        """One part of the shared weights as an autograd leaf."""
        return self._view(part).detach().contiguous().requires_grad_()

    def _view(self, part: Part) -> Tensor:
        """The part of the shared weight as a leaf that asks for gradients, as an extracted network's parameters do:
        some kernels look at that even where none are taken. Cached.
        """
        key = (part.shared, part.shape)
        view = self._views.get(key)
        if view is None:
            if len(self._views) >= VIEWS:
                self._views.clear()
            view = self._views[key] = cut(self.weights[part.shared].detach(), part.shape, part.centred).requires_grad_()
        return view

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Weights that move to another device or dtype leave their views behind."""
        self._views.clear()
        self._networks.clear()
        self._in_mode.clear()
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict[str, Any]:
        """A copy, or what travels to a worker, begins without the networks and views of this process."""
        return {**self.__dict__, "_skeletons": Skeletons(), "_networks": OrderedDict(), "_in_mode": set(), "_views": {}}

    def train(self, mode: bool = True) -> Self:
        """Networks have modules in common, so a change of mode reaches each of them when it is next asked for."""
        if mode is not self.training:
            self._in_mode.clear()
        return super().train(mode)

    def forward(self, x: Tensor, architecture: Architecture, weights: dict[str, Tensor] | None = None) -> Tensor:
        """Logits of one subnet: (batch, channels, *spatial) -> (batch, num_classes).

        `weights` are `weights_for(architecture)` unless given.
        """
        network, parts, slots, _ = self._known(architecture)
        given = self.weights_for(architecture) if weights is None else weights
        empty = [parameters[key] for parameters, key in slots]
        try:
            _fill(slots, (given[part.name] for part in parts))
            return network(x)
        finally:
            _fill(slots, empty)

    @torch.no_grad()
    def extract(self, architecture: Architecture) -> Network:
        """The subnet as a standalone network with its own copy of the weights; the same outputs to the last bit."""
        network = skeleton(architecture, self.task).train(self.training)
        network.load_state_dict({k: w.detach().clone() for k, w in self.weights_for(architecture).items()}, assign=True)
        return network

    @torch.no_grad()
    def fill(self, architecture: Architecture, weights: Mapping[str, Tensor]) -> None:
        """Write a subnet's parameters, by their names in its network, into its part of the shared ones."""
        for part in self.skeleton(architecture)[1]:
            cut(self.weights[part.shared], part.shape, part.centred).copy_(weights[part.name])


def _places(network: Network, architecture: Architecture) -> Iterator[tuple[Part, Slot]]:
    """Of each parameter. One walk over the modules: looking for parameters by their names would take as many walks."""
    chosen = architecture.flat()
    for prefix, module in network.named_modules():
        if module._parameters:
            centred = centred_in(module)
            for key, parameter in module._parameters.items():
                if parameter is not None:
                    name = f"{prefix}.{key}" if prefix else key
                    part = Part(name, shared_name(name, chosen), parameter.shape, centred.get(key, ()))
                    yield part, (module._parameters, key)


def shared_name(name: str, chosen: Mapping[str, Scalar]) -> str:
    """The shared weight of a network's parameter: its name, with the chosen component's name after its place."""
    place, rest = _place(name)
    return f"{place}/{chosen[place]}/{rest}".replace(".", "/") if place else rest.replace(".", "/")


@lru_cache(maxsize=2**14)
def _place(name: str) -> tuple[str, str]:
    """Where a chosen component stands whose parameter this is, and the parameter's name in it."""
    match = _CHOSEN.match(name)
    return (match.group(1), name[match.end() :]) if match else ("", name)

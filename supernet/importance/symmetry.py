"""The symmetries of an architecture: which axes of its parameters can be reordered together without any effect.

They are measured on the network itself, in two steps. Coupled axes: if every axis is made symmetric under the exchange
of two blocks, so is every gradient; changing one of the blocks along a single axis then breaks the symmetry of the
gradients of just those axes that belong with it. Units: the finest blocks whose exchange and whose rotation along the
coupled axes leave the outputs as they were; these two generate every order.

Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023, section 3.2, find coupled axes from rules for each
kind of layer. Measuring needs no rules, and so no line of a component.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from search_space import Architecture, Scalar, SearchSpace
from supernet.network import Network, Task
from supernet.skeleton import skeleton
from supernet.slicing import centred_axes

Axis = tuple[str, int]
"""A parameter's name and one of its axes."""

ROWS = 3
"""Of random inputs, enough for batch norm."""

ASYMMETRY = 1e-6
"""Relative to the largest entry, in float64: far above rounding and far below the effect of a change by a tenth."""

NOTHING = 1e-12
"""A gradient this much smaller than the largest is rounding."""


@dataclass(frozen=True)
class Symmetry:
    """Each of `axes` consists of `num_units` equal blocks; any order of these, the same along every axis, gives the
    same function.
    """

    axes: tuple[Axis, ...]
    num_units: int

    def reordered(self, values: Mapping[str, Tensor], order: Tensor) -> dict[str, Tensor]:
        """The parameters with unit `order[i]` in place i; those without such an axis are the given ones."""
        changed = dict(values)
        for name, axis in self.axes:
            blocks = changed[name].unflatten(axis, (self.num_units, -1))
            changed[name] = blocks.index_select(axis, order).flatten(axis, axis + 1)
        return changed

    def sums(self, entries: Mapping[str, Tensor]) -> Tensor:
        """What the entries that belong to each unit add up to, over all axes: (num_units,)."""
        parts = [entries[name].movedim(axis, 0).reshape(self.num_units, -1).sum(dim=1) for name, axis in self.axes]
        return torch.stack(parts).sum(dim=0)


def elastic_axes(space: SearchSpace, architecture: Architecture, task: Task) -> list[Axis]:
    """The axes that some smaller width or option of the space cuts to a prefix.

    Raises UserError where the architecture is not in the space.
    """
    space.choices(architecture)
    network, flat, decisions = skeleton(architecture, task), architecture.flat(), space.decisions()
    shapes, centred = {name: p.shape for name, p in network.named_parameters()}, centred_axes(network)
    found: dict[Axis, None] = {}
    for shrunk, options in decisions.items():
        if isinstance(options[0], str) or shrunk.endswith(".depth") or flat.get(shrunk) in (None, options[0]):
            continue

        def choose(name: str, _: Sequence[Scalar], shrunk: str = shrunk, least: Scalar = options[0]) -> Scalar:
            return least if name == shrunk else flat[name]

        for name, parameter in skeleton(space.build(choose), task).named_parameters():
            for axis, (size, full) in enumerate(zip(parameter.shape, shapes[name], strict=True)):
                if size != full and axis not in centred.get(name, ()):
                    found[name, axis] = None
    return list(found)


def symmetries(architecture: Architecture, task: Task, axes: Iterable[Axis]) -> list[Symmetry]:
    """The symmetries among these axes. Those that stand in none cannot be reordered.

    Takes a forward and backward pass or two for each symmetry, on random inputs of the task's shape.
    """
    probe, open_axes, found = _Probe(architecture, task), list(axes), []
    for num_blocks in _primes(max((probe.length(axis) for axis in open_axes), default=1)):
        for coupled in probe.coupled(open_axes, num_blocks):
            num_units = probe.finest(coupled)
            if num_units > 1:
                found.append(Symmetry(coupled, num_units))
                open_axes = [axis for axis in open_axes if axis not in coupled]
    return found


class _Probe:
    """The network in float64 with random parameters, none of them zero or one, and with others to change them by."""

    def __init__(self, architecture: Architecture, task: Task) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.network = Network(architecture, task).double().eval()
            self.values = {n: p.detach() + 0.1 * torch.randn_like(p) for n, p in self.network.named_parameters()}
            self.changes = {n: 0.1 * torch.randn_like(p) for n, p in self.network.named_parameters()}
            self.x = torch.randn(ROWS, *task.input_shape, dtype=torch.float64)
            self.target = torch.randn(ROWS, task.num_classes, dtype=torch.float64)

    def length(self, axis: Axis) -> int:
        return self.values[axis[0]].shape[axis[1]]

    def coupled(self, axes: Sequence[Axis], num_blocks: int) -> Iterator[tuple[Axis, ...]]:
        """The sets of axes that belong together, of those that can exchange the first two of `num_blocks` blocks.

        Axes that the outputs do not depend on, as biases before a norm that takes them away, belong to none.
        """
        axes = [axis for axis in axes if self.length(axis) % num_blocks == 0]
        if not axes:
            return
        values, changes = (_tied(tensors, axes, num_blocks) for tensors in (self.values, self.changes))
        gradients = self._gradients(values)
        least = NOTHING * max(float(gradient.abs().max()) for gradient in gradients.values())
        axes = [
            (name, axis)
            for name, axis in axes
            if gradients[name].abs().max() > least and not _broken(gradients[name], axis, num_blocks)
        ]
        while axes:
            coupled, reached, changed = axes[:1], 0, dict(values)
            while reached < len(coupled):
                for name, axis in coupled[reached:]:
                    block = (slice(None),) * axis + (slice(self.length((name, axis)) // num_blocks),)
                    changed[name] = changed[name].clone()
                    changed[name][block] += changes[name][block]
                reached = len(coupled)
                gradients = self._gradients(changed)
                coupled += [
                    (name, axis)
                    for name, axis in axes
                    if (name, axis) not in coupled and _broken(gradients[name], axis, num_blocks)
                ]
            yield tuple(coupled)
            axes = [axis for axis in axes if axis not in coupled]

    def _gradients(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        leaves = {name: value.clone().requires_grad_() for name, value in values.items()}
        loss = (functional_call(self.network, leaves, self.x) - self.target).square().sum()
        return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True), strict=True))

    @torch.no_grad()
    def finest(self, axes: tuple[Axis, ...]) -> int:
        """The largest number of units that these axes may put in any order; 1 where there is none."""
        expected = functional_call(self.network, self.values, self.x)
        common = math.gcd(*(self.length(axis) for axis in axes))
        for num_units in (n for n in range(common, 1, -1) if common % n == 0):
            symmetry, order = Symmetry(axes, num_units), torch.arange(num_units)
            exchange, rotation = torch.cat([order[:2].flip(0), order[2:]]), order.roll(1)
            if not any(
                _differ(functional_call(self.network, symmetry.reordered(self.values, changed), self.x), expected)
                for changed in (exchange, rotation)
            ):
                return num_units
        return 1


def _tied(tensors: Mapping[str, Tensor], axes: Iterable[Axis], num_blocks: int) -> dict[str, Tensor]:
    """The tensors made equal in the first two blocks of each axis."""
    tied = dict(tensors)
    for name, axis in axes:
        tied[name] = (tied[name] + _exchanged(tied[name], axis, num_blocks)) / 2
    return tied


def _broken(gradient: Tensor, axis: int, num_blocks: int) -> bool:
    return _differ(gradient, _exchanged(gradient, axis, num_blocks))


def _exchanged(tensor: Tensor, axis: int, num_blocks: int) -> Tensor:
    """The first two of `num_blocks` blocks of an axis in each other's place."""
    first, second, *rest = tensor.chunk(num_blocks, dim=axis)
    return torch.cat([second, first, *rest], dim=axis)


def _differ(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() > ASYMMETRY * a.abs().max())


def _primes(highest: int) -> list[int]:
    return [n for n in range(2, highest + 1) if all(n % smaller for smaller in range(2, math.isqrt(n) + 1))]

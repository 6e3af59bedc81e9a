"""Hints of a training run: one module for each method and stage, shared by pupils of every width."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call

from search_space import UserError
from supernet.hints.attention_map import AttentionMap
from supernet.hints.feature import FeatureMimicking
from supernet.hints.recalibration import Recalibration
from supernet.network import Task
from supernet.slicing import cut
from supernet.stage_features import Outputs, stage_features
from supernet.supernet import Part, Supernet

Size = tuple[int, ...]
Make = Callable[[int, int, Size], nn.Module]

METHODS: dict[str, tuple[Make, slice]] = {
    "feature_distillation": (FeatureMimicking, slice(-1, None)),
    "attention_distillation": (lambda *_: AttentionMap(), slice(None)),
    "recalibration_distillation": (Recalibration, slice(None)),
}
"""The name of its setting -> a method, and the stages that it compares."""


@dataclass(frozen=True)
class Hint:
    """What is added to a pupil's loss, and the parameters behind it: where they lie, and autograd leaves by name."""

    loss: Tensor | float = 0.0
    parts: list[Part] = field(default_factory=list)
    leaves: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class _Place:
    """One method in one stage. `size` is that of the teacher's features, without their width."""

    method: str
    stage: int
    weight: float
    size: Size

    def module(self, pupil_width: int, teacher_width: int) -> nn.Module:
        return METHODS[self.method][0](pupil_width, teacher_width, self.size)

    def shared_name(self, parameter: str) -> str:
        return f"hints/{self.method}/{self.stage}/{parameter.replace('.', '/')}"


class Hints:
    """The modules that compare a pupil's stages with its teacher's.

    `weights` are their parameters for the widest pupil; another trains the leading part that its width asks for, by the
    rule that cuts the supernet's. They belong to the training, not to the supernet: no subnet has a part of them.
    """

    def __init__(
        self, methods: Mapping[str, float], supernet: Supernet, teacher: nn.Module | None = None, seed: int = 0
    ) -> None:
        """`methods` -> what each counts in the loss. Without a given `teacher`, the largest subnet's sizes are meant.

        Raises UserError where the given teacher has not as many stages as its pupils.
        """
        self.weights: dict[str, Tensor] = {}
        self._places: list[_Place] = []
        self._modules: dict[tuple[_Place, int, int], tuple[nn.Module, list[str], list[Part]]] = {}
        if not methods:
            return
        pupils = _sizes(supernet.skeleton(supernet.space.largest())[0], supernet.task, "meta")
        device = next(iter(supernet.weights.values())).device
        teachers = pupils if teacher is None else _sizes_of_given(teacher, len(pupils), supernet.task, device, methods)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for method, weight in methods.items():
                stages = range(len(pupils))[METHODS[method][1]]
                for stage in stages:
                    place = _Place(method, stage, weight / len(stages), teachers[stage][1:])
                    self._places.append(place)
                    for name, value in place.module(pupils[stage][0], teachers[stage][0]).named_parameters():
                        self.weights[place.shared_name(name)] = value.detach().to(device)

    @property
    def active(self) -> bool:
        """Whether stages are compared at all."""
        return bool(self._places)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from `weights` of the same names, among others."""
        for name, weight in self.weights.items():
            weight.copy_(tensors[name])

    def __call__(self, pupil: Outputs, teacher: Outputs | None, weight: float) -> Hint:
        """The distances of the pupil's stages from the teacher's for the same inputs, weighted and summed."""
        hint = Hint()
        if teacher is None or weight == 0:
            return hint
        for place in self._places:
            own, shown = (outputs.stages[place.stage].float() for outputs in (pupil, teacher))
            module, names, parts = self._known(place, own.shape[1], shown.shape[1])
            leaves = [cut(self.weights[p.shared], p.shape).detach().contiguous().requires_grad_() for p in parts]
            distance = functional_call(module, dict(zip(names, leaves, strict=True)), (own, shown))
            by_name = {part.name: leaf for part, leaf in zip(parts, leaves, strict=True)}
            total = hint.loss + weight * place.weight * distance
            hint = Hint(total, [*hint.parts, *parts], {**hint.leaves, **by_name})
        return hint

    def _known(self, place: _Place, pupil_width: int, teacher_width: int) -> tuple[nn.Module, list[str], list[Part]]:
        """The module for these widths, without values, its parameters' names and where they lie."""
        key = (place, pupil_width, teacher_width)
        if key not in self._modules:
            with torch.device("meta"):
                module = place.module(pupil_width, teacher_width)
            shapes = {name: value.shape for name, value in module.named_parameters()}
            shared = {name: place.shared_name(name) for name in shapes}
            self._modules[key] = (module, [*shapes], [Part(shared[n], shared[n], s, ()) for n, s in shapes.items()])
        return self._modules[key]


@torch.no_grad()
def _sizes(network: nn.Module, task: Task, device: torch.device | str) -> list[Size]:
    """(width, *spatial) of each stage, or what its output is else."""
    with stage_features(network, True) as stages:
        network(torch.zeros(2, *task.input_shape, device=device))  # batch norm takes no batch of one
    return [tuple(stage.shape[1:]) if isinstance(stage, Tensor) else () for stage in stages]


def _sizes_of_given(
    teacher: nn.Module, num_stages: int, task: Task, device: torch.device, methods: Mapping[str, float]
) -> list[Size]:
    has_stages = isinstance(getattr(teacher, "stages", None), nn.ModuleList)
    sizes = _sizes(teacher, task, device) if has_stages else []
    if len(sizes) != num_stages or any(len(size) != 1 + task.ndim for size in sizes):
        raise UserError(
            f"supernet.{next(iter(methods))} compares {num_stages} stages of (width, *spatial), but those of the given "
            f"teacher are {sizes or 'none'}; leave it out or name a teacher with {num_stages} stages"
        )
    return sizes

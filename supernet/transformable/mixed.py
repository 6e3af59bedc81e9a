"""The mixed network: plain modules with the supernet's weights, run for two options of each decision and weighed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import reduce
from operator import add
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from search_space import Block, Component
from supernet.policies.complexity import SLOTS, with_blocks
from supernet.supernet import Part, Supernet
from supernet.transformable.decisions import Decisions, Sample

Alignment = Literal["zeros", "interpolation"]
"""How outputs of two widths are brought to the wider one before they are weighed."""


def aligned(x: Tensor, channels: int, alignment: Alignment) -> Tensor:
    """(batch, any, *spatial) -> (batch, channels, *spatial).

    "zeros" appends channels of zeros and keeps the mean square: each channel keeps the role that it has at every width
    of a supernet, and a wider linear map with a scaled weight (`supernet.ops.linear`) sees what the narrow one would.
    "interpolation" is channel-wise interpolation by adaptive average pooling: of C channels, channel i becomes the mean
    from floor(i C / channels) up to ceil((i + 1) C / channels).

    Source of the second: Dong & Yang, "Network Pruning via Transformable Architecture Search", NeurIPS 2019,
    equation 5.
    """
    if x.shape[1] == channels:
        return x
    flat = x.flatten(2)
    if alignment == "zeros":
        wider = F.pad(flat * math.sqrt(channels / x.shape[1]), (0, 0, 0, channels - x.shape[1]))
    else:
        wider = F.adaptive_avg_pool2d(flat, (channels, flat.shape[2]))
    return wider.unflatten(2, x.shape[2:])


class MixedNetwork:
    """One forward pass in which the sampled options of every decision take part, each as far as its weight says.

    A stage is run once at each sampled width, as the subnet of that width would run it; in each block the outputs of
    the sampled mixers, gates and FFNs are weighed, and at the end the outputs after each sampled depth. The stage's
    output is the weighed sum over widths, aligned to the widest; the next stage takes it at that width. Where one
    option of each decision is certain, this is the plain subnet, to the last bit.

    Source: Dong & Yang, 2019, equations 4 to 6, with whole stages in the place of layers: a stage has one width.
    """

    def __init__(self, supernet: Supernet, decisions: Decisions, alignment: Alignment = "zeros") -> None:
        self.supernet = supernet
        self.decisions = decisions
        self.alignment = alignment
        self.leaves: dict[tuple[str, torch.Size], tuple[Part, Tensor]] = {}
        self._modules: dict[tuple[Any, ...], tuple[nn.Module, list[tuple[str, Part]]]] = {}
        self._smallest = [int(stage.width[0]) for stage in decisions.space.stages]

    def __call__(self, x: Tensor, sample: Sample) -> Tensor:
        """(batch, channels, *spatial) -> logits (batch, num_classes). The weights that took part are in `leaves`, and
        their gradients after a backward pass.
        """
        self.leaves = {}
        before = 0
        for i in range(len(self._smallest)):
            sampled = sample[f"stages.{i}.width"]
            widest = max(width for width, _ in sampled)
            outputs = ((weight, self._stage(x, i, before, width, sample)) for width, weight in sampled)
            x = _sum(weight * aligned(output, widest, self.alignment) for weight, output in outputs)
            before = widest
        last = (*self._smallest[:-1], before)
        return self._part("head", last)(self._part("norm", last)(x).flatten(2).mean(dim=2))

    def _stage(self, x: Tensor, i: int, before: int, width: int, sample: Sample) -> Tensor:
        widths = (*self._smallest[: i - 1], before, width) if i else (width,)
        if i == 0:
            x = self._part("stem", widths)(x)
            x = x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
        x = self._part(f"stages.{i}.downsample", widths)(x)
        depths = dict(sample[f"stages.{i}.depth"])
        outputs = []
        for j in range(max(depths)):
            x = self._block(x, f"stages.{i}.blocks.{j}", widths, sample)
            if j + 1 in depths:
                outputs.append(depths[j + 1] * x)
        return _sum(outputs)

    def _block(self, x: Tensor, place: str, widths: tuple[int, ...], sample: Sample) -> Tensor:
        def part(name: str) -> Callable[..., Tensor]:
            return self._part(f"{place}.{name}", widths)

        def weighed(slot: str, y: Tensor) -> Tensor:
            sampled = sample[f"{place}.{slot}"]
            return _sum(weight * self._part(f"{place}.{slot}", widths, option)(y) for option, weight in sampled)

        x = part("mixer_residual")(x, part("mixer_norm"), lambda y: weighed("gate", weighed("mixer", y)))
        return part("ffn_residual")(x, part("ffn_norm"), lambda y: weighed("ffn", y))

    def _part(self, path: str, widths: tuple[int, ...], option: Component | None = None) -> Callable[..., Tensor]:
        """The module at this path of a network of these widths, with the option in its place, and its weights."""
        key = (path, widths, option)
        if key not in self._modules:
            self._modules[key] = self._module(path, widths, option)
        module, parts = self._modules[key]
        weights = {name: self._leaf(part) for name, part in parts}
        return lambda *inputs: functional_call(module, weights, inputs)

    def _module(
        self, path: str, widths: tuple[int, ...], option: Component | None
    ) -> tuple[nn.Module, list[tuple[str, Part]]]:
        architecture = self.decisions.bare(widths)
        if ".blocks." in path:
            _, i, _, j, slot = path.split(".")
            place = f"stages.{i}.blocks.{j}"
            chosen = {slot: self.decisions.options[f"{place}.{slot}"][0] for slot in SLOTS}
            block = Block(**(chosen | ({slot: option} if option else {})))
            architecture = with_blocks(architecture, *(block,) * (int(j) + 1))
        network, parts = self.supernet.skeleton(architecture)
        prefix = f"{path}."
        own = [(part.name.removeprefix(prefix), part) for part in parts if part.name.startswith(prefix)]
        return network.get_submodule(path), own

    def _leaf(self, part: Part) -> Tensor:
        key = (part.shared, part.shape)
        if key not in self.leaves:
            self.leaves[key] = part, self.supernet.leaf(part)
        return self.leaves[key][1]


def _sum(terms: Iterable[Tensor]) -> Tensor:
    return reduce(add, terms)

"""The space of staged networks, which is what a `[search_space]` section declares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from search_space.architecture import Architecture, Block, Component, Scalar, Stage
from search_space.space import Choose, Options, SearchSpace

Components = Mapping[str, Mapping[str, Options]]
"""The components that may stand in one place: name -> option -> accepted values."""


@dataclass(frozen=True)
class StageSpace:
    """What may vary inside one stage; depth counts the leading blocks that are kept."""

    width: Options
    depth: Options
    mixer: Components
    gate: Components
    ffn: Components
    downsample: Components | None = None


@dataclass(frozen=True)
class StagedSpace(SearchSpace):
    """A stem, then stages whose widths, depths and, block by block, components vary."""

    stem: Components
    norm: Components
    stages: tuple[StageSpace, ...]
    residual: Components = field(default_factory=lambda: {"pre_norm": {}})

    def build(self, choose: Choose) -> Architecture:
        """The architecture that follows when `choose` answers every decision."""
        return Architecture(
            stem=_component(choose, "stem", self.stem),
            norm=_component(choose, "norm", self.norm),
            residual=_component(choose, "residual", self.residual),
            stages=tuple(_stage(choose, f"stages.{i}", stage) for i, stage in enumerate(self.stages)),
        )

    def conditions(self) -> dict[str, dict[str, frozenset[Scalar]]]:
        """A block's decisions hang on the depth of its stage, an option's on its component."""
        found: dict[str, dict[str, frozenset[Scalar]]] = {}
        for place, components in (("stem", self.stem), ("norm", self.norm), ("residual", self.residual)):
            found |= _opened(place, components, {})
        for i, stage in enumerate(self.stages):
            found |= _opened(f"stages.{i}.downsample", stage.downsample or {}, {})
            for j in range(int(max(stage.depth))):
                deep = frozenset(depth for depth in stage.depth if int(depth) > j)
                here = {f"stages.{i}.depth": deep} if len(deep) < len(stage.depth) else {}
                for slot in ("mixer", "gate", "ffn"):
                    found |= _opened(f"stages.{i}.blocks.{j}.{slot}", getattr(stage, slot), here)
        return {name: opened for name, opened in found.items() if opened}

    @property
    def size(self) -> int:
        """The exact number of architectures: options multiply along a block, blocks along a stage, stages along the
        whole.
        """
        size = _count(self.stem) * _count(self.norm) * _count(self.residual)
        for stage in self.stages:
            block = _count(stage.mixer) * _count(stage.gate) * _count(stage.ffn)
            downsamples = _count(stage.downsample) if stage.downsample else 1
            size *= len(stage.width) * downsamples * sum(block ** int(depth) for depth in stage.depth)
        return size


def _stage(choose: Choose, name: str, space: StageSpace) -> Stage:
    width = _ask(choose, f"{name}.width", space.width)
    downsample = _component(choose, f"{name}.downsample", space.downsample) if space.downsample else None
    depth = _ask(choose, f"{name}.depth", space.depth)
    blocks = tuple(
        Block(
            mixer=_component(choose, f"{name}.blocks.{j}.mixer", space.mixer),
            gate=_component(choose, f"{name}.blocks.{j}.gate", space.gate),
            ffn=_component(choose, f"{name}.blocks.{j}.ffn", space.ffn),
        )
        for j in range(int(depth))
    )
    return Stage(int(width), blocks, downsample)


def _component(choose: Choose, name: str, components: Components) -> Component:
    chosen = str(_ask(choose, name, tuple(components)))
    options = components[chosen].items()
    return Component(chosen, **{key: _ask(choose, f"{name}.{chosen}.{key}", values) for key, values in options})


def _opened(
    place: str, components: Components, here: dict[str, frozenset[Scalar]]
) -> dict[str, dict[str, frozenset[Scalar]]]:
    """When the decisions of one place are made: `here`, and an option where its component stands."""
    found = {place: dict(here)} if len(components) > 1 else {}
    for name, options in components.items():
        chosen = {place: frozenset[Scalar]((name,))} if len(components) > 1 else {}
        varying = [option for option, values in options.items() if len(values) > 1]
        found |= {f"{place}.{name}.{option}": here | chosen for option in varying}
    return found


def _ask(choose: Choose, name: str, options: Options) -> Scalar:
    return options[0] if len(options) == 1 else choose(name, options)


def _count(components: Components) -> int:
    return sum(math.prod(len(values) for values in options.values()) for options in components.values())

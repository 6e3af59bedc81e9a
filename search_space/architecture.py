"""Architecture, Stage, Block, Component: frozen values with one canonical JSON form and a content id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from search_space.errors import UserError

Scalar = str | int | float


@dataclass(frozen=True, init=False)
class Component:
    """One choice of building block by its registry name, with its options: `Component("depthwise", kernel_size=7)`."""

    name: str
    options: tuple[tuple[str, Scalar], ...]

    def __init__(self, name: str, **options: Scalar) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "options", tuple(sorted((k, canonical(v)) for k, v in options.items())))

    def to_dict(self) -> dict[str, Scalar]:
        return {"name": self.name, **dict(self.options)}


@dataclass(frozen=True)
class Block:
    """A residual block: a mixer over positions, a gate after it, and an FFN over channels."""

    mixer: Component
    ffn: Component
    gate: Component = Component("none")


@dataclass(frozen=True)
class Stage:
    """Blocks of one width. `downsample` stands before the blocks; None keeps the resolution and the width before it."""

    width: int
    blocks: tuple[Block, ...]
    downsample: Component | None = None


PRE_NORM = Component("pre_norm")


@dataclass(frozen=True)
class Architecture:
    """A whole model: a stem, then stages, with one kind of norm and of residual throughout.

    Two architectures are equal exactly when their canonical JSON is, and `id` is a hash of that JSON: it names the
    model in tables, caches and file names. The JSON leaves out a plain pre-norm residual, so that the ids of
    architectures from before there was another are still theirs.
    """

    stem: Component
    stages: tuple[Stage, ...]
    norm: Component = Component("layer")
    residual: Component = PRE_NORM

    def to_dict(self) -> dict[str, Any]:
        residual = {} if self.residual == PRE_NORM else {"residual": self.residual.to_dict()}
        return residual | {
            "stem": self.stem.to_dict(),
            "norm": self.norm.to_dict(),
            "stages": [
                {
                    "width": stage.width,
                    "downsample": stage.downsample.to_dict() if stage.downsample else None,
                    "blocks": [
                        {"mixer": b.mixer.to_dict(), "gate": b.gate.to_dict(), "ffn": b.ffn.to_dict()}
                        for b in stage.blocks
                    ],
                }
                for stage in self.stages
            ],
        }

    def to_json(self) -> str:
        """Canonical: sorted keys, no spaces, integral numbers without a point."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @cached_property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def flat(self) -> dict[str, Scalar]:
        """Every fact of the architecture under its decision's name: `stages.0.blocks.1.mixer.depthwise.kernel_size`."""
        return dict(_flat(self))

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """Read what `to_json` wrote. Raises UserError for anything else, naming the place."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise UserError(f"an architecture is written as JSON, but this is not JSON: {error}") from None
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: Any) -> Architecture:
        _keys(data, "architecture", {"stem", "norm", "stages"}, optional={"residual"})
        if not isinstance(data["stages"], list) or not data["stages"]:
            raise UserError("architecture.stages must be a list of at least one stage")
        return cls(
            stem=_component(data["stem"], "stem"),
            norm=_component(data["norm"], "norm"),
            stages=tuple(_stage(stage, f"stages.{i}") for i, stage in enumerate(data["stages"])),
            residual=_component(data["residual"], "residual") if "residual" in data else PRE_NORM,
        )


def canonical(value: Scalar) -> Scalar:
    """The one spelling of a value: 4.0 is written 4."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _flat(a: Architecture) -> Iterator[tuple[str, Scalar]]:
    yield from _flat_component("stem", a.stem)
    yield from _flat_component("norm", a.norm)
    yield from _flat_component("residual", a.residual)
    for i, stage in enumerate(a.stages):
        yield f"stages.{i}.width", stage.width
        if stage.downsample:
            yield from _flat_component(f"stages.{i}.downsample", stage.downsample)
        yield f"stages.{i}.depth", len(stage.blocks)
        for j, block in enumerate(stage.blocks):
            for slot in ("mixer", "gate", "ffn"):
                yield from _flat_component(f"stages.{i}.blocks.{j}.{slot}", getattr(block, slot))


def _flat_component(name: str, component: Component) -> Iterator[tuple[str, Scalar]]:
    yield name, component.name
    for option, value in component.options:
        yield f"{name}.{component.name}.{option}", value


def _stage(data: Any, where: str) -> Stage:
    _keys(data, where, {"width", "downsample", "blocks"})
    if not isinstance(data["width"], int) or isinstance(data["width"], bool) or data["width"] < 1:
        raise UserError(f"{where}.width={data['width']!r} must be a whole number of channels, at least 1")
    if not isinstance(data["blocks"], list):
        raise UserError(f"{where}.blocks must be a list of blocks")
    downsample = None if data["downsample"] is None else _component(data["downsample"], f"{where}.downsample")
    blocks = tuple(_block(block, f"{where}.blocks.{j}") for j, block in enumerate(data["blocks"]))
    return Stage(data["width"], blocks, downsample)


def _block(data: Any, where: str) -> Block:
    _keys(data, where, {"mixer", "gate", "ffn"})
    return Block(**{slot: _component(data[slot], f"{where}.{slot}") for slot in ("mixer", "gate", "ffn")})


def _component(data: Any, where: str) -> Component:
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        raise UserError(f'{where} must be a table with a name, such as {{"name": "depthwise", "kernel_size": 7}}')
    options = {key: value for key, value in data.items() if key != "name"}
    for key, value in options.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise UserError(f"{where}.{key}={value!r} must be a number or a string")
    return Component(data["name"], **options)


def _keys(data: Any, where: str, accepted: Set[str], optional: Set[str] = frozenset()) -> None:
    if not isinstance(data, Mapping):
        raise UserError(f"{where} must be a table with the keys {', '.join(sorted(accepted))}, not {data!r}")
    if set(data) - optional != accepted:
        wrong = sorted((set(data) - optional) ^ accepted)
        raise UserError(f"{where} has keys {sorted(data)}; accepted are exactly {sorted(accepted)} (see {wrong[0]!r})")

"""An experiment: one TOML file whose sections carry the names of the folders that read them."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from search.algorithms.registry import ALGORITHMS
from search.code import is_installed
from search.problem import Problem
from search_space import SearchSpace, UserError, read_space
from studies.laws import find_law
from supernet.data import DataConfig
from supernet.foreign import load_components
from supernet.registry import catalogue
from supernet.settings import TrainingSettings

Section = TypeVar("Section")

PACKAGES = ("predictors", "search", "search_space", "snugnet", "studies", "supernet")
"""All of this project."""


def _above_zero(where: str, values: Mapping[str, Any], *names: str) -> None:
    for name in names:
        given = values[name] if isinstance(values[name], tuple) else (values[name],)
        if not given or any(value is not None and value <= 0 for value in given):
            shown = list(given) if isinstance(values[name], tuple) else values[name]
            raise UserError(f"{where}.{name}={shown} must be above 0")


@dataclass(frozen=True)
class LatencySettings:
    """`[search.latency]`: the device whose latency counts, and the time spent on each architecture during a search."""

    kind: Literal["cpu", "cuda"] = "cpu"
    backend: Literal["eager", "compiled", "onnxruntime", "cuda_graph"] = "eager"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    threads: int = 1
    batch_size: int = 1
    max_seconds: float = 0.3

    def __post_init__(self) -> None:
        _above_zero("search.latency", vars(self), "threads", "batch_size", "max_seconds")


@dataclass(frozen=True)
class SearchSettings:
    """`[search]`: what is wanted, and which algorithm looks for it. `timeout_s`: for one architecture."""

    algorithm: str = "guided"
    objectives: tuple[str, ...] = ("accuracy", "latency_ms")
    constraints: tuple[str, ...] = ()
    batch_size: int = 4
    workers: int | None = None
    timeout_s: float = 600.0
    latency: LatencySettings = LatencySettings()

    def __post_init__(self) -> None:
        _above_zero("search", vars(self), "batch_size", "workers", "timeout_s")


@dataclass(frozen=True)
class PredictorSettings:
    """`[predictors]`: the kind of model behind each estimate."""

    latency: Literal["auto", "ridge", "boosting"] = "auto"
    accuracy: Literal["auto", "ridge", "boosting"] = "auto"


@dataclass(frozen=True)
class StudySettings:
    """`[studies]`: the grid of networks that `snugnet study run` trains alone, and the law that the report fits.

    `width` is the first stage's; the other stages keep their proportion to it. `train_size` counts training rows.
    """

    width: tuple[int, ...] = (8, 16, 32)
    train_size: tuple[int, ...] = (128, 256, 512, 1024)
    num_steps: int = 300
    batch_size: int = 64
    learning_rate: float = 1e-2
    law: str = "power_law_floor"
    x: tuple[str, ...] = ("train_size",)
    y: str = "loss_nats"

    def __post_init__(self) -> None:
        _above_zero("studies", vars(self), "width", "train_size", "num_steps", "batch_size", "learning_rate")
        law = find_law(self.law)
        if len(self.x) != law.num_columns:
            raise UserError(
                f"studies.x={list(self.x)} names {len(self.x)} columns, but {law.name} takes {law.num_columns}"
            )


@dataclass(frozen=True)
class Experiment:
    """What an experiment file says, and the folder it stood in (data paths are relative to it)."""

    text: str
    base: Path
    name: str
    seed: int
    data: DataConfig
    space_table: Mapping[str, Any]
    supernet: TrainingSettings
    predictors: PredictorSettings
    search: SearchSettings
    studies: StudySettings

    @property
    def components(self) -> tuple[str, ...]:
        """What `[search_space] components` names: components from outside snugnet."""
        return tuple(self.space_table.get("components", ()))

    @property
    def packages(self) -> list[str]:
        """Whose code travels to other machines: snugnet's, and components from outside that are not installed."""
        outside = {path.partition(".")[0] for path in self.components}
        return [*PACKAGES, *sorted(name for name in outside if not is_installed(name))]

    @cached_property
    def space(self) -> SearchSpace:
        return read_space(self.space_table, catalogue())

    @cached_property
    def problem(self) -> Problem:
        return Problem.parse(self.space, self.search.objectives, self.search.constraints)


def read_experiment(path: Path) -> Experiment:
    """Read and check an experiment file. Raises UserError naming the file, the key and what is accepted."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; give the path of an experiment file (TOML)") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a text file: {error}") from None
    return parse_experiment(text, base=path.resolve().parent, where=str(path))


def parse_experiment(text: str, base: Path, where: str = "experiment") -> Experiment:
    """The same from the text itself; `where` names it in messages."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{where} is not TOML: {error}") from None
    sections = {
        "data": DataConfig,
        "supernet": TrainingSettings,
        "predictors": PredictorSettings,
        "search": SearchSettings,
        "studies": StudySettings,
    }
    try:
        _refuse_unknown(table, ("name", "seed", "search_space", *sections), "the experiment")
        if not isinstance(table.get("search_space"), dict):
            raise UserError("[search_space] is missing; declare a stem and at least one [[search_space.stages]]")
        components = table["search_space"].get("components", [])
        if not isinstance(components, list) or not all(isinstance(path, str) for path in components):
            raise UserError(
                f'search_space.components={components!r} must be a list of paths, such as ["my_package.my_mixer"]'
            )
        load_components(components)
        if "data" not in table:
            raise UserError('[data] is missing; name a data set, such as format = "digits"')
        experiment = Experiment(
            text=text,
            base=base,
            name=_value(str, table.get("name", Path(where).stem), "name"),
            seed=_value(int, table.get("seed", 0), "seed"),
            space_table=table["search_space"],
            **{key: _section(cls, table.get(key, {}), key) for key, cls in sections.items()},
        )
        if experiment.search.algorithm not in ALGORITHMS:
            accepted = ", ".join(ALGORITHMS)
            raise UserError(f"search.algorithm={experiment.search.algorithm!r} is unknown; choose among {accepted}")
        if not 0 <= experiment.seed < 2**32:
            raise UserError(f"seed={experiment.seed} must be a whole number from 0 to 4294967295")
        _ = experiment.problem
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return experiment


def _section(cls: type[Section], table: Any, where: str) -> Section:
    """A dataclass from a TOML table: unknown keys refused, every value checked against its annotation."""
    if not isinstance(table, dict):
        raise UserError(f"{where} must be a table, not {table!r}")
    hints = get_type_hints(cls)
    _refuse_unknown(table, tuple(hints), where)
    values = {}
    for key, value in table.items():
        nested = dataclasses.is_dataclass(hints[key])
        values[key] = (
            _section(hints[key], value, f"{where}.{key}") if nested else _value(hints[key], value, f"{where}.{key}")
        )
    required = [f.name for f in dataclasses.fields(cls) if f.default is f.default_factory is dataclasses.MISSING]  # type: ignore[arg-type]
    for name in required:
        if name not in values:
            raise UserError(f"{where}.{name} is missing; it must be given")
    return cls(**values)


def _value(annotation: Any, value: Any, where: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{where}={value} is not a finite number")
    try:
        adapter = TypeAdapter(annotation, config=ConfigDict(strict=True))
        return adapter.validate_python(tuple(value) if isinstance(value, list) else value)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise UserError(f"{where}={value!r} is not accepted: {problem['msg'][0].lower()}{problem['msg'][1:]}") from None


def _refuse_unknown(table: Mapping[str, Any], accepted: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in accepted:
            close = get_close_matches(key, accepted, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UserError(f"{where}: {key!r} is not a key; {hint}accepted: {', '.join(accepted)}")

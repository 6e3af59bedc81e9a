"""What the documentation shows works."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from search_space import read_space
from snugnet.cli import app
from snugnet.commands.catalogue import catalogue as catalogue_command
from supernet import registry
from supernet.foreign import load_components
from supernet.network import Task
from supernet.registry import catalogue, discover
from supernet.supernet import Supernet

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_example_of_a_mixer_is_a_component(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "adding_a_mixer.md").read_text(), re.DOTALL)
    folder = tmp_path / "example_mixers"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "shift.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    found = discover("mixer", importlib.import_module("example_mixers"))
    for name in ("example_mixers.shift", "example_mixers"):
        sys.modules.pop(name)
    assert list(found) == ["shift"]
    x = torch.arange(2 * 16 * 3 * 5.0).reshape(2, 16, 3, 5)
    y = found["shift"](16, distance=2)(x)
    assert torch.equal(y[:, 8], x[:, 8].roll(-2, -1))
    assert torch.equal(y[:, 2:8], x[:, 2:8])
    mixers = {**catalogue()["mixer"], "shift": vars(found["shift"])["choices"]}
    table = {
        "stem": "patch",
        "mixer": {"shift": {"distance": [1, 2]}},
        "ffn": "mlp",
        "stages": [{"width": 8, "depth": 2}],
    }
    assert read_space(table, {**catalogue(), "mixer": mixers}).size == 4


def test_the_example_of_a_module_of_torch_works() -> None:
    tables = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "adding_a_mixer.md").read_text(), re.DOTALL)
    (declared,) = (tomllib.loads(t)["search_space"] for t in tables if "torch.nn" in t)
    try:
        load_components(declared["components"])
        stages = [{"width": 8, "depth": [1, 2]}]
        space = read_space({"stem": "patch", "ffn": "mlp", "stages": stages, **declared}, catalogue())
        assert space.size == 4 + 4**2
        supernet, x = Supernet(space, Task((1, 6, 6), 3)).eval(), torch.randn(2, 1, 6, 6)
        for architecture in space.covering():
            assert torch.equal(supernet(x, architecture), supernet.extract(architecture)(x))
    finally:
        registry._registry.cache_clear()


def test_the_page_of_the_catalogue_is_what_the_command_prints() -> None:
    assert (ROOT / "docs" / "catalogue.md").read_text() == catalogue_command().markdown(), (
        "write it again: snugnet catalogue --markdown > docs/catalogue.md"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), target
    for path in re.findall(r"(?:python|experiments?) ((?:benchmarks|experiments)/\w+\.(?:py|toml))", text):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"python -m benchmarks\.(\w+)", text):
        assert (ROOT / "benchmarks" / f"{name}.py").exists(), name
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    for command in re.findall(r"^ +(?:\$ )?snugnet (\w+)", text, re.MULTILINE):
        assert command in commands | {"study"}, command


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_every_benchmark_starts(path: Path) -> None:
    """As far as its imports and the table it declares."""
    importlib.import_module(f"benchmarks.{path.stem}")

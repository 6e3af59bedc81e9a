"""The house keeps its shape: imports form a star, heavy libraries stay in their folder, no name says nothing."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("snugnet", "search_space", "supernet", "predictors", "search", "studies")
SURROGATE = ROOT / "search" / "surrogate.py"
"""Guided search can be run alone: its default way to predict is the one import between the arms of the star."""
MAY_IMPORT = {package: {package, "search_space"} for package in PACKAGES} | {"snugnet": set(PACKAGES)}
LIBRARIES = {
    "search_space": {"numpy"},
    "predictors": {"numpy", "scipy", "sklearn", "threadpoolctl"},
    "search": {"numpy", "scipy", "optuna", "ray", "moocore"},
    "studies": {"numpy", "pyarrow", "scipy"},
}
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """The top-level names of every module a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write the whole name of what is imported"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_form_a_star(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    names = imported(path)
    assert names & set(PACKAGES) <= MAY_IMPORT[package] | ({"predictors"} if path == SURROGATE else set())
    if package in LIBRARIES:
        assert names - set(PACKAGES) - sys.stdlib_module_names <= LIBRARIES[package]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_vague_or_long(path: Path) -> None:
    assert not {"utils", "util", "common", "helpers", "misc", "core"} & {path.stem, *path.parent.parts}
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), "a module says what it is"


@pytest.mark.xdist_group("house")
@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="a single process keeps every group together")
def test_a_group_of_tests_stays_on_one_worker(request: pytest.FixtureRequest) -> None:
    """Else the journeys would be made anew on every worker. pytest-xdist knows the group by the end of the id."""
    assert request.node.nodeid.endswith("@house")

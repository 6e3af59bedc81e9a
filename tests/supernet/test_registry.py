"""The registry finds what is in the folders, refuses what is not, and rejects what is declared wrongly."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from search_space import Component, UserError, read_space
from supernet import registry

GOOD = '''
from torch import nn
class Mixer(nn.Module):
    """Doubles its input.

    Use: never.

    Source: Nobody, "Twice", 2020, equation 1.
    """
    choices = {"size": (1, 2)}
    ndims = (1, 2)
    def __init__(self, width, *, ndim=2, size=1):
        super().__init__()
    def forward(self, x):
        return 2 * x
class _Part(nn.Module):
    pass
'''


@pytest.fixture
def folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[[str], ModuleType]:
    """A package with one module `twice` of the given source."""

    def write(source: str) -> ModuleType:
        name = f"folder_{abs(hash(request.node.name))}"
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "twice.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        return importlib.import_module(name)

    return write


def test_one_file_is_one_component(folder: Callable[[str], ModuleType]) -> None:
    found = registry.discover("mixer", folder(GOOD))
    assert list(found) == ["twice"]
    entry = registry.entry("mixer", "twice", found["twice"])
    assert entry.summary == "Doubles its input."
    assert entry.use == "never."
    assert entry.source == 'Nobody, "Twice", 2020, equation 1.'
    assert (entry.ndims, entry.choices) == ((1, 2), {"size": (1, 2)})


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("Source: Nobody", "By Nobody", "must name a paper"),
        ("Doubles its input.", "", "must begin by saying what it computes"),
        (
            '"size": (1, 2)',
            '"sizes": (1, 2)',
            r"choices name \['sizes'\], but the constructor's options are \['size'\]",
        ),
        ('"size": (1, 2)', '"size": (2, 1)', "must rise from smallest to largest"),
        ('"size": (1, 2)', '"size": (2, 3)', "the default size=1 is not among its choices"),
        ("ndims = (1, 2)", "ndims = (1, 4)", "must name some of the spatial dimensions"),
        ("ndims = (1, 2)", "", "must declare the class attribute ndims"),
        ("width, *, ndim=2", "channels, *, ndim=2", "its constructor must begin"),
        ("class _Part", "class Part", "must define exactly one public nn.Module; it defines Mixer, Part"),
        ("class Mixer", "class _Mixer", "must define exactly one public nn.Module; it defines none"),
    ],
)
def test_a_bad_declaration_is_rejected(folder: Callable[[str], ModuleType], old: str, new: str, complaint: str) -> None:
    assert old in GOOD
    with pytest.raises(TypeError, match=complaint):
        registry.discover("mixer", folder(GOOD.replace(old, new)))


@pytest.mark.parametrize(
    ("kind", "name", "complaint"),
    [
        ("mixer", "depthwize", "'depthwize' is not a mixer; did you mean 'depthwise'"),
        ("gate", "depthwise", "'depthwise' is not a gate; accepted: efficient_channel, .*none, .*squeeze_excitation"),
        (
            "mixers",
            "depthwise",
            "'mixers' is not a kind of component; the kinds are mixer, gate, ffn, stem, norm, residual",
        ),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(kind: str, name: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        registry.component(kind, name)


@pytest.mark.parametrize(
    ("component", "ndim", "complaint"),
    [
        (Component("depthwise", kernel=3), 2, "mixer depthwise has no option 'kernel'; it takes kernel_size"),
        (Component("identity", kernel=3), 2, "mixer identity has no option 'kernel'; it takes none"),
        (Component("depthwise", kernel_size=4), 2, r"kernel_size=4 is not one of \(3, 5, 7, 9, 11, 13, 15\)"),
        (Component("gnconv", order=5), 2, "gnconv of order 5 needs a width of 16 or more, not 8"),
    ],
)
def test_what_cannot_be_made_is_refused(component: Component, ndim: int, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint) as refusal:
        registry.make("mixer", component, 8, ndim=ndim)
    assert "\n" not in str(refusal.value)


def test_a_component_that_lacks_a_dimension_is_refused_with_those_that_have_it(
    folder: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"mixer": {**registry._registry()["mixer"], **registry.discover("mixer", folder(GOOD))}}
    monkeypatch.setattr(registry, "_registry", lambda: known)
    registry.make("mixer", Component("twice"), 8, ndim=2)
    with pytest.raises(UserError, match=r"mixer twice does not work in 3 spatial dimensions; these do: .*depthwise"):
        registry.make("mixer", Component("twice"), 8, ndim=3)


def test_make_passes_sizes_and_options_on() -> None:
    stem = registry.make("stem", Component("patch", stride=4), 3, 8, ndim=1)
    assert stem(torch.zeros(2, 3, 9)).shape == (2, 8, 3)


def test_a_space_of_everything_can_be_declared() -> None:
    catalogue = registry.catalogue()
    table = {
        kind: {
            name: {option: list(values) for option, values in options.items()} for name, options in components.items()
        }
        for kind, components in catalogue.items()
    }
    decisions = read_space({**table, "stages": [{"width": [16], "depth": [1]}]}, catalogue).decisions()
    mixers = [entry.name for entry in registry.entries() if entry.kind == "mixer"]
    assert list(decisions["stages.0.blocks.0.mixer"]) == mixers
    assert decisions["stages.0.blocks.0.mixer.depthwise.kernel_size"] == catalogue["mixer"]["depthwise"]["kernel_size"]

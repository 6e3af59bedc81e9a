"""Components from outside: a user's own file, and ordinary modules of another library, torch's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from search_space import Component, SearchSpace, UserError, read_space
from supernet import registry
from supernet.foreign import load_components
from supernet.network import Task
from supernet.supernet import Supernet

OWN = '''
from torch import nn
class Flip(nn.Module):
    """The image turned round along its last axis.

    Source: Nobody, "Round", 2020, equation 1.
    """
    choices = {"times": (1, 2)}
    ndims = (1, 2)
    def __init__(self, width, *, ndim=2, times=1):
        super().__init__()
        self.times = times
    def forward(self, x):
        return x if self.times == 2 else x.flip(-1)
'''

CONVOLUTION: dict[str, Any] = {
    "in_channels": "width",
    "out_channels": "width",
    "kernel_size": [3, 5],
    "padding": "same",
}
ENCODER = {"nhead": [1, 2], "dim_feedforward": 32, "dropout": 0}


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """The registry as it was."""
    yield
    registry._registry.cache_clear()


def _space(mixer: dict[str, Any], width: int | list[int] = 8) -> SearchSpace:
    stages = [{"width": width, "depth": [1, 2]}]
    return read_space({"stem": "patch", "mixer": mixer, "ffn": "mlp", "stages": stages}, registry.catalogue())


def _outputs_agree(space: SearchSpace, task: Task, count: int = 6) -> None:
    supernet, generator = Supernet(space, task).eval(), np.random.default_rng(0)
    x = torch.randn(3, *task.input_shape)
    for _ in range(count):
        architecture = space.sample(generator)
        out = supernet(x, architecture)
        assert torch.equal(out, supernet.extract(architecture)(x))
        out.sum().backward()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A package of the user's with one component, `flip`."""
    name = f"their_package_{abs(hash(request.node.name))}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    (tmp_path / name / "flip.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_file_of_ones_own_is_a_component(package: str) -> None:
    load_components([f"{package}.flip"])
    load_components([f"{package}.flip"])
    assert registry.catalogue()["mixer"]["flip"] == {"times": (1, 2)}
    _outputs_agree(_space({"flip": {"times": [1, 2]}, "depthwise": {}}, [8, 12]), Task((1, 6, 6), 4))
    with pytest.raises(UserError, match=r"flip: times=3 is not one of \(1, 2\)"):
        registry.make("mixer", Component("flip", times=3), 8, ndim=2)


def test_a_convolution_of_torch_is_a_mixer_at_every_width() -> None:
    load_components(["torch.nn.Conv2d"])
    space = _space({"Conv2d": CONVOLUTION, "pooling": {}}, [6, 8])
    _outputs_agree(space, Task((1, 6, 6), 4))
    x = torch.randn(2, 8, 5, 7)
    options: dict[str, Any] = {**CONVOLUTION, "kernel_size": 3}
    convolution: Any = registry.make("mixer", Component("Conv2d", **options), 8, ndim=2)
    assert torch.equal(convolution(x), F.conv2d(x, convolution.weight, convolution.bias, padding=1))


@pytest.mark.parametrize("batch_first", [0, 1])
@pytest.mark.parametrize("spatial", [(11,), (5, 7), (2, 3, 4)])
def test_an_encoder_layer_of_torch_sees_positions_as_tokens(batch_first: int, spatial: tuple[int, ...]) -> None:
    load_components(["torch.nn.TransformerEncoderLayer"])
    space = _space({"TransformerEncoderLayer": {**ENCODER, "batch_first": batch_first}})
    _outputs_agree(space, Task((1, *spatial), 4), count=2)
    module: Any = registry.make(
        "mixer", Component("TransformerEncoderLayer", nhead=2, dropout=0, batch_first=batch_first), 8, ndim=len(spatial)
    ).eval()
    x = torch.randn(2, 8, *spatial)
    tokens = x.flatten(2).transpose(1, 2)
    expected = torch.cat([module.module(row.unsqueeze(1 - batch_first)).view(1, -1, 8) for row in tokens])
    torch.testing.assert_close(module(x).flatten(2).transpose(1, 2), expected)


@pytest.mark.parametrize(
    ("path", "options", "complaint"),
    [
        ("torch.nn.Conv2d", {}, "cannot be built at width 8: .*missing 2 required"),
        (
            "torch.nn.Conv2d",
            {"in_channels": "width", "out_channels": "width", "kernel_size": 3},
            r"must keep its input's shape .* returned \(3, 8, 3, 5\) for \(3, 8, 5, 7\)",
        ),
        ("torch.nn.BatchNorm2d", {}, "has buffers .*running_mean"),
        ("torch.nn.BatchNorm2d", {"track_running_stats": 0}, "an input's output depends on the others of its batch"),
        ("torch.nn.InstanceNorm2d", {"affine": 1}, ""),
        ("torch.nn.ReLU", {"kernel": 8}, "mixer ReLU has no option 'kernel'; it takes inplace"),
    ],
)
def test_a_module_that_cannot_be_a_mixer_says_why(path: str, options: dict[str, Any], complaint: str) -> None:
    load_components([path])
    component = Component(path.rpartition(".")[2], **options)
    if complaint:
        with pytest.raises(UserError, match=complaint) as refusal:
            registry.make("mixer", component, 8, ndim=2)
        assert "\n" not in str(refusal.value)
    else:
        registry.make("mixer", component, 8, ndim=2)


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("no_such_package.mixer", "cannot be imported .*install it or put its folder on PYTHONPATH"),
        ("nowhere", "cannot be imported"),
        ("torch.nn.functional.relu", "neither a module nor a torch.nn.Module"),
        ("torch.nn.NoSuch", "neither a module nor a torch.nn.Module"),
        ("torch.nn", "must define exactly one public nn.Module"),
        ("", "names nothing"),
    ],
)
def test_what_is_no_component_is_refused(path: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint) as refusal:
        load_components([path])
    assert "\n" not in str(refusal.value)


def test_a_name_of_the_catalogue_cannot_be_taken(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "depthwise.py").write_text(OWN)
    with pytest.raises(UserError, match="'depthwise' is the name of two mixer components"):
        load_components([f"{package}.depthwise"])


def test_a_bad_declaration_of_ones_own_is_refused(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "wrong.py").write_text(OWN.replace("ndims = (1, 2)", ""))
    with pytest.raises(UserError, match="must declare the class attribute ndims"):
        load_components([f"{package}.wrong"])

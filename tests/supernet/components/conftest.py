"""Every registered component in every number of dimensions, and parity with a reference in values and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from search_space import Component, Scalar
from supernet.foreign import load_components
from supernet.registry import Entry, entries, make

SPATIAL = {1: (11,), 2: (9, 5), 3: (5, 3, 4)}
"""Odd and even sizes, none of them square."""

Options = dict[str, Scalar]


@dataclass(frozen=True)
class Case:
    """One component in one number of spatial dimensions."""

    entry: Entry
    ndim: int

    def build(self, width: int, options: Options | None = None, *, in_channels: int = 3, seed: int = 0) -> nn.Module:
        sizes = (in_channels, width) if self.entry.kind == "stem" else (width,)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return make(self.entry.kind, Component(self.entry.name, **(options or {})), *sizes, ndim=self.ndim)

    def skeleton(self, width: int, options: Options | None = None, *, in_channels: int = 3) -> nn.Module:
        with torch.device("meta"):
            return self.build(width, options, in_channels=in_channels)

    def images(self, width: int, batch: int = 2, spatial: tuple[int, ...] | None = None) -> Tensor:
        """Unit-normal input for a module of this width; a stem sees 3 channels."""
        channels = 3 if self.entry.kind == "stem" else width
        shape = (batch, channels, *(spatial or SPATIAL[self.ndim]))
        return torch.randn(shape, generator=torch.Generator().manual_seed(1))

    def smallest(self) -> Options:
        return {option: values[0] for option, values in self.entry.choices.items()}

    def largest(self) -> Options:
        return {option: values[-1] for option, values in self.entry.choices.items()}

    def each_option(self) -> list[Options]:
        """Every accepted value of every option, the others at their smallest and at their largest."""
        return [
            {**others, option: value}
            for others in (self.smallest(), self.largest())
            for option, values in self.entry.choices.items()
            for value in values
        ] or [{}]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        outside = metafunc.config.getoption("--component")
        load_components(outside)
        names = {path.rpartition(".")[2] for path in outside}
        cases = [
            Case(entry, ndim)
            for entry in entries()
            for ndim in entry.ndims
            if (entry.kind in ("mixer", "stem") and entry.name in names if names else entry.kind != "residual")
        ]
        ids = [f"{case.entry.kind}.{case.entry.name}-{case.ndim}d" for case in cases]
        metafunc.parametrize("case", cases, ids=ids)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Modules draw their weights from torch's global generator."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _assert_same(module: nn.Module, reference: Callable[[Tensor], Tensor], x: Tensor, tolerance: float = 1e-9) -> None:
    """Equal outputs, and equal gradients of the input and of every parameter, in float64."""
    module = module.double()
    x = x.double().requires_grad_()
    inputs = [x, *module.parameters()]
    out, expected = module(x), reference(x)
    torch.testing.assert_close(out, expected, rtol=tolerance, atol=tolerance)
    direction = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(2))
    for ours, theirs in zip(
        torch.autograd.grad(out, inputs, direction), torch.autograd.grad(expected, inputs, direction), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=10 * tolerance, atol=10 * tolerance)


@pytest.fixture
def assert_same() -> Callable[..., None]:
    return _assert_same

"""Every component goes through ONNX. Some ten in one file, for the exporter's time grows as the square of their number,
and alone each would wait for what every export costs.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from search_space import Component
from supernet.evaluation import recalibrate
from supernet.export import export_onnx, load_onnx_session
from supernet.registry import Entry, entries, make

WIDTH = 20
SPATIAL = (9, 5, 4)
FILES = 4


class Side(nn.Module):
    """Each component on the same input, their outputs one after the other: (batch, outputs)."""

    def __init__(self, ndim: int, file: int) -> None:
        super().__init__()
        known = [entry for entry in entries() if ndim in entry.ndims and entry.kind != "residual"]
        self.components = nn.ModuleDict(
            {f"{entry.kind} {entry.name}": _build(entry, ndim) for entry in known[file::FILES]}
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([component(x).flatten(1) for component in self.components.values()], dim=1)


def _build(entry: Entry, ndim: int) -> nn.Module:
    """With default numbers, and the last of every named choice, such as shifted windows."""
    names = {option: values[-1] for option, values in entry.choices.items() if isinstance(values[0], str)}
    sizes = (WIDTH, WIDTH) if entry.kind == "stem" else (WIDTH,)
    return make(entry.kind, Component(entry.name, **names), *sizes, ndim=ndim)


@pytest.mark.parametrize(
    "ndim", [pytest.param(1, marks=pytest.mark.thorough), 2, pytest.param(3, marks=pytest.mark.thorough)]
)
@pytest.mark.parametrize("file", range(FILES))
def test_onnx_runtime_computes_what_torch_computes(ndim: int, file: int, tmp_path: Path) -> None:
    shape = (WIDTH, *SPATIAL[:ndim])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        side = Side(ndim, file)
        recalibrate(side, [(torch.randn(8, *shape), torch.zeros(8))])
        x = torch.randn(3, *shape)
    export_onnx(side, shape, tmp_path / "side.onnx")
    session = load_onnx_session(tmp_path / "side.onnx", threads=1)
    for images in (x[:1], x):
        (out,) = session.run(None, {"input": images.numpy()})
        parts = [component(images) for component in side.components.values()]
        ours = torch.from_numpy(out).split([part[0].numel() for part in parts], dim=1)
        for name, theirs, part in zip(side.components, ours, parts, strict=True):
            assert (theirs - part.flatten(1)).abs().max() < 1e-4, name

"""A folded network computes what the network computed, and a subnet folder restores it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from search_space import Architecture, Block, Component, Stage, UserError
from snugnet.commands.extract import extract
from snugnet.commands.train import train
from snugnet.evaluator import inherited
from snugnet.run import Run
from snugnet.subnet import load_subnet
from supernet.cost import cost
from supernet.folding import fold, foldable
from supernet.network import Network, Task
from supernet.skeleton import skeleton
from tests.journey import DIGITS

TASKS = {"1-D": Task((2, 21), 5), "2-D": Task((1, 9, 11), 5)}
FOLDED = ["stages.0.blocks.0.mixer", "stages.1.blocks.1.mixer"]


def _mixed() -> Architecture:
    ffn = Component("mlp", expansion=2)
    large, larger, plain = (
        Block(mixer, ffn)
        for mixer in (
            Component("large_kernel", kernel_size=7),
            Component("large_kernel", kernel_size=31),
            Component("depthwise", kernel_size=3),
        )
    )
    downsample = Component("patch", stride=2)
    return Architecture(downsample, (Stage(8, (large, plain)), Stage(13, (plain, larger), downsample=downsample)))


def _network(task: Task) -> Network:
    """With large weights everywhere, so that no branch is negligible."""
    network = Network(_mixed(), task)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return network.eval()


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_folding_keeps_the_function(task: Task) -> None:
    network = _network(task)
    x = torch.randn(3, *task.input_shape, generator=torch.Generator().manual_seed(1))
    before, training, size = network(x), network.training, sum(p.numel() for p in network.parameters())
    assert foldable(network) == FOLDED
    fold(network, foldable(network))
    torch.testing.assert_close(network(x), before, rtol=1e-5, atol=1e-5)
    assert foldable(network) == []
    assert sum(p.numel() for p in network.parameters()) < size
    assert all(module.training == training for module in network.modules())


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_skeleton_folds_to_the_same_structure(task: Task) -> None:
    network, empty = _network(task), skeleton(_mixed(), task)
    for each in (network, empty):
        fold(each, FOLDED)
    assert all(parameter.is_meta for parameter in empty.parameters())
    assert {n: p.shape for n, p in empty.named_parameters()} == {n: p.shape for n, p in network.named_parameters()}


def test_only_the_named_modules_are_folded() -> None:
    network = _network(TASKS["2-D"])
    fold(network, FOLDED[:1])
    assert foldable(network) == FOLDED[1:]


@pytest.mark.parametrize("name", ["stages.0.blocks.1.mixer", "stages.9"])
def test_a_module_without_a_folded_form_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"{name} cannot be folded; foldable here: {', '.join(FOLDED)}"):
        fold(_network(TASKS["2-D"]), [name])


@pytest.mark.parametrize("kernel_size", [7, 13])
def test_costs_are_those_of_one_kernel(kernel_size: int) -> None:
    def counted(mixer: Component) -> tuple[int, int]:
        architecture = Architecture(
            Component("patch", stride=1), (Stage(8, (Block(mixer, Component("mlp", expansion=2)),)),)
        )
        found = cost(architecture, Task((1, 32, 32), 5))
        return found.params, found.flops

    sizes = {"kernel_size": kernel_size}
    assert counted(Component("large_kernel", **sizes)) == counted(Component("depthwise", **sizes))


@pytest.mark.slow
def test_a_subnet_is_extracted_folded_and_loaded_so(tmp_path: Path) -> None:
    mixers = DIGITS.replace("pooling = {}", "large_kernel = { kernel_size = [7, 9] }").replace(
        "epochs = 2", "epochs = 1"
    )
    (tmp_path / "experiment.toml").write_text(mixers)
    train(tmp_path / "experiment.toml", tmp_path / "run")
    run = Run.open(tmp_path / "run")
    a = next(a for a in run.experiment.space.covering() if "large_kernel" in a.flat().values())
    (row,) = run.evaluator([a])
    trial = {"trial": 0, "id": a.id, "architecture": a.to_json(), "algorithm": "random", "seed": 0}
    run.keep_trials([trial | row])
    extracted = extract(tmp_path / "run", tmp_path / "subnet", id=a.id)
    names = [place for place, name in a.flat().items() if name == "large_kernel"]
    assert f"folded: {', '.join(names)}" in extracted.text()
    card = json.loads((tmp_path / "subnet" / "card.json").read_text())
    assert card["folded"] == names
    network, unfolded = load_subnet(tmp_path / "subnet"), run.supernet.extract(a).eval()
    assert foldable(unfolded) == names and not foldable(network)
    assert card["measured"]["params"] == sum(p.numel() for p in network.parameters())
    x = run.data.search.normalised(run.data.search.images[:5])
    torch.testing.assert_close(network(x), unfolded(x), rtol=1e-5, atol=1e-5)
    assert torch.equal(network(x), inherited(run.supernet, a, run.data.train)(x))

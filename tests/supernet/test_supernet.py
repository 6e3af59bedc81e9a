"""Sharing is exact: live and extracted subnets agree to the last bit, gradients stay inside the slice."""

from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional as F

from search_space import Architecture, SearchSpace, read_space
from supernet.export import export_onnx
from supernet.network import Network, Task
from supernet.registry import catalogue
from supernet.slicing import cut
from supernet.supernet import SKELETONS, Supernet
from tests.spaces import TASKS, every_component

SPACE = every_component()


@pytest.fixture(scope="module")
def supernets() -> dict[Task, Supernet]:
    return {task: Supernet(SPACE, task, seed=3) for task in TASKS.values()}


def samples(space: SearchSpace, count: int, seed: int = 0) -> list[Architecture]:
    generator = np.random.default_rng(seed)
    return [space.sample(generator) for _ in range(count)]


def inputs(task: Task, batch: int = 3) -> torch.Tensor:
    return torch.randn(batch, *task.input_shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("training", [False, True])
def test_live_and_extracted_agree_to_the_last_bit(task: Task, training: bool, supernets: dict[Task, Supernet]) -> None:
    supernet, x = supernets[task].train(training), inputs(task)
    with torch.no_grad():
        for architecture in samples(SPACE, 50, seed=int(training)):
            live = supernet(x, architecture)
            assert torch.equal(live, supernet.extract(architecture)(x)), architecture.to_json()
            assert torch.isfinite(live).all()


def test_they_agree_at_widths_of_a_few_channels() -> None:
    """With so few, some kernels take another path when a weight asks for gradients."""
    mixers: dict[str, dict[str, int]] = {name: {} for name in catalogue()["mixer"] if name != "gnconv"}
    stages = [{"width": [1, 2, 5], "depth": [1, 2]}]
    space = read_space({"stem": "patch", "mixer": mixers, "ffn": "mlp", "stages": stages}, catalogue())
    for task in (Task((1, 3, 5), 3), Task((2, 9), 3)):
        supernet, x = Supernet(space, task).eval(), inputs(task)
        with torch.no_grad():
            for architecture in samples(space, 40):
                live = supernet(x, architecture)
                assert torch.equal(live, supernet.extract(architecture)(x)), architecture.to_json()


def test_gradients_are_those_of_the_subnet_inside_the_slice_and_zero_outside(
    task: Task, supernets: dict[Task, Supernet]
) -> None:
    supernet, x = supernets[task].eval(), inputs(task)
    labels = torch.tensor([0, 1, 2])
    for architecture in samples(SPACE, 12, seed=2):
        supernet.zero_grad(set_to_none=True)
        F.cross_entropy(supernet(x, architecture), labels).backward()
        alone = supernet.extract(architecture)
        F.cross_entropy(alone(x), labels).backward()
        leaves = supernet.leaves_for(architecture)
        F.cross_entropy(supernet(x, architecture, leaves), labels).backward()
        expected = dict(alone.named_parameters())
        used = set()
        for part in supernet.skeleton(architecture)[1]:
            shared = supernet.weights[part.shared].grad
            used.add(part.shared)
            gradient = expected[part.name].grad
            if gradient is None:
                continue
            assert shared is not None
            assert torch.equal(cut(shared, part.shape, part.centred), gradient)
            leaf = leaves[part.name].grad
            assert leaf is not None and torch.equal(leaf, gradient)
            assert shared.count_nonzero() == cut(shared, part.shape, part.centred).count_nonzero()
        assert all(weight.grad is None for name, weight in supernet.weights.items() if name not in used)


@pytest.mark.thorough
def test_onnx_runtime_agrees_on_whole_networks(task: Task, supernets: dict[Task, Supernet], tmp_path: Path) -> None:
    """Components are exported one by one in components/test_onnx.py; an export takes many seconds."""
    network = supernets[task].eval().extract(SPACE.sample(np.random.default_rng(0)))
    path = tmp_path / "subnet.onnx"
    export_onnx(network, task.input_shape, path)
    x = inputs(task, batch=5)
    (actual,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"input": x.numpy()})
    with torch.no_grad():
        assert np.abs(actual - network(x).numpy()).max() < 1e-4


def test_every_architecture_fits_inside_the_shared_weights(task: Task, supernets: dict[Task, Supernet]) -> None:
    for architecture in (SPACE.smallest(), SPACE.largest(), *samples(SPACE, 50, seed=4)):
        weights = supernets[task].weights_for(architecture)
        assert {name: w.shape for name, w in weights.items()} == {
            name: p.shape for name, p in Network(architecture, task).named_parameters()
        }


def test_smaller_subnets_are_nested_in_larger_ones() -> None:
    """Along a chain of growing subnets of the same kinds, each one's weights are a part of the next one's."""
    space = every_component(
        stem={"patch": {"stride": 2}},
        norm="layer",
        residual="pre_norm",
        mixer={"depthwise": {"kernel_size": [3, 5, 9]}},
        gate="squeeze_excitation",
        ffn={"mlp": {"expansion": [1, 2, 4]}},
    )
    supernet = Supernet(space, TASKS["2-D"])
    chain = [space.nested(fraction) for fraction in (0.0, 0.4, 1.0)]
    assert len(set(chain)) == 3
    for small, large in pairwise(chain):
        larger = supernet.weights_for(large)
        weights = supernet.weights_for(small)
        for part in supernet.skeleton(small)[1]:
            assert torch.equal(cut(larger[part.name], part.shape, part.centred), weights[part.name])


def test_extracted_weights_are_the_subnets_own(supernets: dict[Task, Supernet]) -> None:
    supernet = supernets[TASKS["2-D"]]
    architecture = SPACE.largest()
    before = {name: w.clone() for name, w in supernet.weights.items()}
    network = supernet.extract(architecture)
    with torch.no_grad():
        for parameter in network.parameters():
            assert parameter.is_contiguous()
            parameter.add_(1)
    assert all(torch.equal(before[name], w) for name, w in supernet.weights.items())


def test_the_same_seed_gives_the_same_supernet_and_leaves_the_global_generator_alone() -> None:
    task = TASKS["2-D"]
    state = torch.get_rng_state()
    a, b, other = (Supernet(SPACE, task, seed=seed).weights for seed in (5, 5, 6))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], other[name]) for name in a)
    assert torch.equal(state, torch.get_rng_state())


def test_the_cache_of_networks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SKELETONS >= 100
    monkeypatch.setattr("supernet.supernet.SKELETONS", 3)
    supernet = Supernet(SPACE, TASKS["2-D"])
    for architecture in samples(SPACE, 8):
        supernet.skeleton(architecture)
    assert len(supernet._networks) == 3


def test_a_part_that_does_not_fit_is_a_defect() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        cut(torch.zeros(2, 3), (2, 4))
    with pytest.raises(ValueError, match="does not fit"):
        cut(torch.zeros(2, 3), (2,))


def test_cut_takes_the_centre_or_the_leading_entries() -> None:
    tensor = torch.arange(35).reshape(5, 7)
    assert torch.equal(cut(tensor, (3, 3)), tensor[:3, :3])
    assert torch.equal(cut(tensor, (3, 3), centred=(1,)), tensor[:3, 2:5])
    for size in range(1, 7):
        inner, outer = cut(tensor[0], (size,), (0,)), cut(tensor[0], (size + 1,), (0,))
        assert set(inner.tolist()) < set(outer.tolist())


def test_weights_may_be_looked_at_before_they_are_trained_and_moved_after() -> None:
    """Views of the shared weights are kept; none may be an inference tensor or outlive the weights it shows."""
    space = every_component(mixer="depthwise", gate="none", stem="patch")
    supernet, architecture = Supernet(space, TASKS["2-D"]), space.smallest()
    x = torch.randn(2, *TASKS["2-D"].input_shape)
    with torch.inference_mode():
        before = supernet(x, architecture).clone()
    leaves = supernet.leaves_for(architecture)
    supernet(x, architecture, leaves).sum().backward()
    assert all(leaf.grad is not None for leaf in leaves.values())
    supernet.double()
    with torch.no_grad():
        after = supernet(x.double(), architecture)
        assert all(weight.dtype == torch.float64 for weight in supernet.weights_for(architecture).values())
    torch.testing.assert_close(after.float(), before, rtol=1e-4, atol=1e-4)


def test_a_copy_has_its_own_weights_and_nothing_of_what_was_kept() -> None:
    space = every_component(mixer="depthwise", gate="none", stem="patch")
    supernet, architecture, x = (
        Supernet(space, TASKS["2-D"]),
        space.smallest(),
        torch.randn(2, *TASKS["2-D"].input_shape),
    )
    with torch.no_grad():
        before = supernet(x, architecture)
        copied = copy.deepcopy(supernet)
        for weight in supernet.weights.values():
            weight.zero_()
        assert not copied._networks and not copied._views
        assert torch.equal(copied(x, architecture), before)
        assert not torch.equal(supernet(x, architecture), before)


def test_a_skeleton_is_empty_after_every_call_even_one_that_failed() -> None:
    space = every_component(mixer="depthwise", gate="none", stem="patch")
    supernet, architecture = Supernet(space, TASKS["2-D"]), space.largest()
    with pytest.raises((RuntimeError, KeyError)):
        supernet(torch.randn(2, 3), architecture)
    supernet(torch.randn(2, *TASKS["2-D"].input_shape), architecture)
    assert all(parameter.is_meta for parameter in supernet.skeleton(architecture)[0].parameters())

"""Scores, the statistics of batch norms, and counted costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from search_space import Architecture, Block, Component, Stage, UserError
from supernet.cost import cost
from supernet.evaluation import evaluate, load_state, recalibrate
from supernet.network import Network, Task
from supernet.registry import make
from supernet.skeleton import skeleton
from tests.spaces import TASKS, every_component


class FirstPixel(nn.Module):
    """Logits that name the class written in the first pixel, with a margin of one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.one_hot(x.flatten(1)[:, 0].long(), 5).float()


def test_accuracy_and_loss_are_means_over_rows_not_over_batches() -> None:
    labels = torch.tensor([0, 1, 2, 3, 4])
    x = labels.clone().float().reshape(5, 1, 1, 1)
    x[4] = 0
    quality = evaluate(FirstPixel(), [(x[:4], labels[:4]), (x[4:], labels[4:])])
    assert (quality.accuracy, quality.rows) == (0.8, 5)
    assert quality.loss_nats == pytest.approx(F.cross_entropy(FirstPixel()(x), labels).item())


def test_batch_norm_refuses_a_batch_without_variance() -> None:
    norm = make("norm", Component("batch"), 4, ndim=2)
    assert norm(torch.ones(2, 4, 1, 1)).shape == (2, 4, 1, 1)
    assert norm(torch.ones(1, 4, 1, 2)).shape == (1, 4, 1, 2)
    with pytest.raises(UserError, match="single value for each channel"):
        norm(torch.ones(1, 4, 1, 1))


def test_recalibrated_statistics_are_the_mean_of_the_batches() -> None:
    torch.manual_seed(0)
    space = every_component(mixer="depthwise", norm="batch", gate="none", stem="patch")
    network = Network(space.sample(np.random.default_rng(0)), TASKS["2-D"])
    batches = [(torch.randn(8, 1, 9, 11), torch.zeros(8)) for _ in range(3)]
    seen: list[torch.Tensor] = []
    first = network.get_submodule("stages.0.blocks.0.mixer_norm")
    handle = first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    recalibrate(network, batches)
    handle.remove()
    torch.testing.assert_close(first.running_mean, torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0))
    torch.testing.assert_close(first.running_var, torch.stack([x.var((0, 2, 3)) for x in seen]).mean(0))
    with torch.no_grad():
        together = network(batches[0][0])
        apart = torch.cat([network(x[None]) for x in batches[0][0]])
    torch.testing.assert_close(together, apart)
    again = Network(space.sample(np.random.default_rng(0)), TASKS["2-D"])
    load_state(again, network.state_dict(), Path("weights"))
    with torch.no_grad():
        assert torch.equal(again.eval()(batches[0][0]), together)


def test_weights_of_another_network_are_refused() -> None:
    task = TASKS["2-D"]
    space = every_component()
    network, other = Network(space.smallest(), task), Network(space.largest(), task)
    with pytest.raises(UserError, match="does not fit its architecture") as refusal:
        load_state(network, other.state_dict(), Path("weights"))
    assert "\n" not in str(refusal.value)


def test_costs_are_those_counted_by_hand() -> None:
    """Patch stem 1 -> 8 at stride 2 on 8 x 8, depthwise 3 x 3, mlp of expansion 2, 5 classes; 2 per multiply-add."""
    block = Block(Component("depthwise", kernel_size=3), Component("mlp", expansion=2))
    architecture = Architecture(Component("patch", stride=2), (Stage(8, (block,)),))
    task = Task((1, 8, 8), 5)
    counted = cost(architecture, task)
    positions = 16
    assert counted.flops == 2 * (positions * (4 * 8 + 9 * 8 + 2 * 8 * 16) + 8 * 5)
    assert counted.params == sum(p.numel() for p in Network(architecture, task).parameters())


def test_a_skeleton_has_every_shape_and_no_value() -> None:
    for architecture in every_component().covering():
        for task in TASKS.values():
            network, empty = Network(architecture, task), skeleton(architecture, task)
            assert {n: p.shape for n, p in network.named_parameters()} == {
                n: p.shape for n, p in empty.named_parameters()
            }
            assert all(p.is_meta for p in empty.parameters())

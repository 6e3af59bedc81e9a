"""Counts against the same counts by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from search_space import Architecture, Block, Component, Stage
from supernet.cost import FOURIER, cost, peak_bytes
from supernet.network import Task
from supernet.results import Results


def _network(mixer: str, **options: Any) -> Architecture:
    block = Block(Component(mixer, **options), Component("mlp", expansion=2))
    return Architecture(Component("patch", stride=2), (Stage(8, (block,)),))


def test_a_convolutional_network_counts_two_for_each_multiply_add() -> None:
    counted = cost(_network("depthwise", kernel_size=3), Task((1, 12, 10), 5))
    positions = 6 * 5
    products = positions * (4 * 8 + 9 * 8 + 8 * 16 + 16 * 8) + 8 * 5
    assert counted.flops == 2 * products
    values = (4 * 8 + 8) + 16 + (9 * 8 + 8) + 8 + 16 + (8 * 16 + 16) + (16 * 8 + 8) + 8 + 16 + (8 * 5 + 5)
    assert counted.params == values
    assert counted.activations == positions * (8 + 8 + 16 + 8) + 5


@pytest.mark.parametrize(("shape", "axes"), [((3, 64), (1,)), ((2, 16, 8), (1, 2)), ((5, 9), (1,))])
def test_a_real_fourier_transform_counts_both_ways(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    size = math.prod(shape[axis] for axis in axes)
    with FlopCounterMode(display=False, custom_mapping=FOURIER) as forward:
        spectrum = torch.fft.rfftn(x, dim=axes)
    with FlopCounterMode(display=False, custom_mapping=FOURIER) as backward:
        torch.fft.irfftn(spectrum, s=[shape[axis] for axis in axes], dim=axes)
    expected = 2.5 * math.prod(shape) * math.log2(size)
    assert forward.get_total_flops() == pytest.approx(expected, rel=0.01)
    assert backward.get_total_flops() == pytest.approx(expected, rel=0.01)


def test_a_long_convolution_of_a_long_signal_costs_more_than_its_mlp() -> None:
    """Its transforms are the work there, and they are counted."""
    long, plain = (cost(_network(mixer), Task((1, 4096), 5)).flops for mixer in ("long_convolution", "identity"))
    assert long > 1.5 * plain


def test_batch_norm_of_a_single_position_is_counted_too() -> None:
    block = Block(Component("pooling"), Component("mlp", expansion=1))
    network = Architecture(Component("patch", stride=8), (Stage(8, (block,)),), Component("batch"))
    assert cost(network, Task((1, 8, 8), 5)).flops == 2 * (64 * 8 + 8 * 8 + 8 * 8 + 8 * 5)


def test_memory_is_that_of_all_that_is_held_at_once() -> None:
    x = torch.empty(100, device="meta")
    with torch.no_grad(), Results() as results:
        y = results.hold(x) + 1
        y = y.view(10, 10).relu()  # the sum is free after that
        del y
        z = x[:50] * 2
    assert z.nbytes == 200
    assert results.peak_bytes == 1200
    assert results.num_activations == 0


def test_the_peak_counts_weights_and_the_widest_place() -> None:
    """In the MLP: the hidden values before and after the nonlinearity, what the residual needs, and little else."""
    values, hidden = 8 * 6 * 5, 16 * 6 * 5
    image, counted = 12 * 10, cost(_network("depthwise", kernel_size=3), Task((1, 12, 10), 5))
    held = peak_bytes(_network("depthwise", kernel_size=3), Task((1, 12, 10), 5)) - 4 * counted.params
    assert 4 * (image + values + 2 * hidden) <= held <= 4 * (image + 4 * values + 2 * hidden)
    wide = peak_bytes(_network("depthwise", kernel_size=3), Task((1, 24, 10), 5)) - 4 * counted.params
    assert wide == pytest.approx(2 * held, rel=0.02)

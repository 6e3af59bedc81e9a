"""The large kernel against its branches one by one, over parts of it, and folded."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from supernet.mixers.large_kernel import LargeKernel
from supernet.ops.depthwise_convolution import reference
from supernet.slicing import centred_axes, cut

SPATIAL = {1: (11,), 2: (9, 5), 3: (3, 4, 2)}
BRANCHES = {  # of the authors' code; for 15 and 17 with the dilation that they leave out
    7: {1: 5, 2: 3, 3: 3},
    9: {1: 5, 2: 5, 3: 3, 4: 3},
    11: {1: 5, 2: 5, 3: 3, 4: 3, 5: 3},
    13: {1: 5, 2: 7, 3: 3, 4: 3, 5: 3},
    15: {1: 5, 2: 7, 3: 3, 4: 3, 5: 3, 7: 3},
    17: {1: 5, 2: 9, 3: 3, 4: 3, 5: 3, 7: 3},
    31: {1: 5, 2: 9, 3: 3, 4: 3, 5: 3, 7: 3},
}


def _images(width: int, spatial: tuple[int, ...]) -> Tensor:
    return torch.randn(2, width, *spatial, generator=torch.Generator().manual_seed(0))


def _randomised(ndim: int, kernel_size: int) -> LargeKernel:
    module = LargeKernel(3, ndim=ndim, kernel_size=kernel_size)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module


def _branches(module: LargeKernel, x: Tensor) -> Tensor:
    """Every branch on the image by itself, then their sum."""

    def branch(kernel: torch.nn.Module, dilation: int) -> Tensor:
        scale = kernel.get_parameter("scale").view(-1, *[1] * (x.dim() - 2))
        none = torch.zeros_like(module.bias)
        return scale * reference.depthwise_convolution(x, kernel.get_parameter("weight"), none, dilation)

    total = branch(module.large, 1) + module.bias.view(-1, *[1] * (x.dim() - 2))
    for dilation, kernel in module.dilated.items():
        total = total + branch(kernel, int(dilation))
    return total


@pytest.mark.parametrize("kernel_size", BRANCHES)
def test_branches_are_those_of_the_paper(kernel_size: int) -> None:
    module = LargeKernel(2, kernel_size=kernel_size)
    found = {int(name): kernel.get_parameter("weight").shape[2] for name, kernel in module.dilated.items()}
    assert found == BRANCHES[kernel_size]


@pytest.mark.parametrize(("ndim", "kernel_size"), [(1, 7), (1, 31), (2, 7), (2, 13), (2, 17), (3, 7)])
def test_one_kernel_is_the_sum_of_the_branches(ndim: int, kernel_size: int, assert_same: Callable[..., None]) -> None:
    module, x = _randomised(ndim, kernel_size), _images(3, SPATIAL[ndim])
    expected = _branches(module, x)
    torch.testing.assert_close(module(x), expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())
    assert_same(module, lambda x: _branches(module, x), x)


@pytest.mark.parametrize("ndim", [1, 2])
def test_a_smaller_kernel_is_the_centre_of_a_larger_one(ndim: int) -> None:
    """With every tap of the large one at zero that the small one does not have, both compute the same."""
    large, small = _randomised(ndim, 31), LargeKernel(3, ndim=ndim, kernel_size=9)
    parameters, centred = dict(large.named_parameters()), centred_axes(small)
    part = {n: cut(parameters[n], p.shape, centred.get(n, ())).clone() for n, p in small.named_parameters()}
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.zero_()
            if name in part:
                cut(parameter, part[name].shape, centred.get(name, ())).copy_(part[name])
    x = _images(3, (20,) * ndim)
    torch.testing.assert_close(functional_call(small, part, (x,)), large(x), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("ndim", "kernel_size"), [(1, 31), (2, 7), (2, 13), (3, 9)])
def test_folded_it_is_one_kernel_at_every_size(ndim: int, kernel_size: int) -> None:
    module = _randomised(ndim, kernel_size)
    folded = module.fold()
    assert {name: p.shape for name, p in folded.named_parameters()} == {
        "weight": module.large.weight.shape,
        "bias": module.bias.shape,
    }
    for spatial in (SPATIAL[ndim], (1,) * ndim, (16,) * ndim):
        x = _images(3, spatial)
        torch.testing.assert_close(folded(x), module(x), rtol=1e-5, atol=1e-4)

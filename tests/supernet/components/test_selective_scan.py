"""The selective scan over images, against its sequences written out."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from supernet.mixers.selective_scan import DELTA_RANK, PERIOD, SelectiveScan
from supernet.ops.linear import REFERENCE_FAN_IN
from supernet.ops.selective_scan import reference


def _images(width: int, *spatial: int) -> Tensor:
    return torch.randn(2, width, *spatial, generator=torch.Generator().manual_seed(0))


def _paths(spatial: tuple[int, ...], num_directions: int) -> list[list[int]]:
    """For each direction the flat indices of the positions in the order in which it visits them."""
    ndim = len(spatial)
    index = torch.arange(torch.Size(spatial).numel()).view(spatial)
    paths = []
    for k in range(num_directions):
        axes = [(k // 2 + i) % ndim for i in range(ndim)]  # from the slowest to the fastest
        path = []
        for steps in itertools.product(*(range(spatial[axis]) for axis in axes)):
            where = dict(zip(axes, steps, strict=True))
            path.append(int(index[tuple(where[axis] for axis in range(ndim))]))
        paths.append(path[::-1] if k % 2 else path)
    return paths


def _linear(x: Tensor, weight: Tensor, fan_in: int) -> Tensor:
    return x @ weight.T * (REFERENCE_FAN_IN / fan_in) ** 0.5


@pytest.mark.parametrize("spatial", [(1,), (13,), (5, 7), (4, 4), (3, 2, 4)])
@pytest.mark.parametrize(("num_directions", "state_size"), [(1, 2), (2, 1), (4, 1), (6, 3)])
def test_each_direction_is_the_recurrence_along_its_path(
    spatial: tuple[int, ...], num_directions: int, state_size: int, assert_same: Callable[..., None]
) -> None:
    width = 9
    module = SelectiveScan(width, ndim=len(spatial), state_size=state_size, num_directions=num_directions)

    def loop(x: Tensor) -> Tensor:
        u = F.silu(_linear(x.flatten(2).transpose(1, 2), module.input.weight, width) + module.input.bias)
        y = torch.zeros_like(u)
        for k, path in enumerate(_paths(spatial, num_directions)):
            seen = u[:, path]
            delta = F.softplus(_linear(seen, module.delta_down[k], width) @ module.delta_up[k].T + module.delta_bias[k])
            B, C = _linear(seen, module.B[k], width), _linear(seen, module.C[k], width)
            A = -module.log_A[k].T.exp()
            y = y.index_add(1, torch.tensor(path), reference.selective_scan(seen, delta, A, B, C, module.D[k]))
        y = F.layer_norm(y, (width,), module.norm.weight, module.norm.bias, eps=1e-6)
        y = _linear(y, module.output.weight, width) + module.output.bias
        return y.transpose(1, 2).reshape(x.shape)

    assert_same(module, loop, _images(width, *spatial))


def test_the_second_direction_is_the_first_on_the_flipped_image() -> None:
    module = SelectiveScan(16, num_directions=2).double()
    x = _images(16, 5, 6).double()
    swapped = {name: each.flip(0) if each.shape[0] == 2 else each for name, each in module.named_parameters()}
    flipped = functional_call(module, swapped, (x.flip(2, 3),)).flip(2, 3)
    torch.testing.assert_close(module(x), flipped)


def test_one_direction_is_causal() -> None:
    module, x = SelectiveScan(16, ndim=1, num_directions=1), _images(16, 23).requires_grad_()
    (grad,) = torch.autograd.grad(module(x)[..., 10].sum(), x)
    assert grad[..., 11:].count_nonzero() == 0
    assert (grad[..., :11].abs().sum(dim=(0, 1)) > 0).all()


@pytest.mark.parametrize("spatial", [(23,), (5, 7), (3, 4, 5)])
def test_two_directions_see_all_positions_from_all(spatial: tuple[int, ...]) -> None:
    module, x = SelectiveScan(16, ndim=len(spatial)), _images(16, *spatial).requires_grad_()
    for position in (0, 11):
        (grad,) = torch.autograd.grad(module(x).flatten(2)[..., position].sum(), x)
        assert (grad.abs().sum(dim=(0, 1)) > 0).all()


@pytest.mark.parametrize("width", [16, 40])
def test_states_start_as_in_mamba(width: int) -> None:
    module = SelectiveScan(width, state_size=4, num_directions=4)
    assert module.delta_up.shape == (4, width, DELTA_RANK)
    torch.testing.assert_close(module.log_A.exp(), torch.arange(1.0, 5.0)[:, None].expand(4, 4, width))
    steps = F.softplus(module.delta_bias)
    torch.testing.assert_close(steps.amin(dim=1), torch.full((4,), 1e-3))
    torch.testing.assert_close(steps.amax(dim=1), torch.full((4,), 1e-1))
    ratios = steps[:, 1:PERIOD] / steps[:, : PERIOD - 1]
    torch.testing.assert_close(ratios, torch.full_like(ratios, 100 ** (1 / 15)), rtol=1e-4, atol=0)

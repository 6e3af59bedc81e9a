"""Selective state space."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.norms.layer import LayerNorm
from supernet.ops.linear import Linear, scaled, scaled_weight
from supernet.ops.selective_scan import selective_scan

DELTA_RANK = 4
PERIOD = 16
"""Channel i starts with the time step of channel i modulo 16, so that every width has all of them."""
MIN_DELTA, MAX_DELTA = 1e-3, 1e-1


class SelectiveScan(nn.Module):
    """Runs through the image in several directions, each with linear states of which the input decides what they keep.

    A direction follows the flattened positions: h_t = exp(delta_t A) h_(t-1) + delta_t B_t x_t, y_t = C_t h_t + D x_t,
    with delta, B and C projected from position t. Directions come in pairs, forwards and backwards; the first pair
    moves fastest along the last axis, the next pair has the axes turned by one, and so on. The outputs are summed and
    normalised between an input projection with SiLU and an output projection.

    VMamba's depthwise convolution before the scan is left out: other mixers and FFNs look at neighbours. Delta's
    projection has rank 4 at every width. Without a second pair of directions every position still sees all others; a
    state of 1 and fewer directions are the cheap settings.

    Use: a view of the whole image at a cost that is linear in its positions, where attention becomes too slow.

    Source: Liu et al., "VMamba: Visual State Space Model", NeurIPS 2024, section 4.2 (2D selective scan); Gu and Dao,
    "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, algorithm 2 and section 3.6 (start of A
    and delta).
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"state_size": (1, 2, 4, 8, 16), "num_directions": (1, 2, 4, 6)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, state_size: int = 1, num_directions: int = 2) -> None:
        super().__init__()
        self.input = Linear(width, width)
        self.delta_down = scaled_weight(num_directions, DELTA_RANK, width)
        self.delta_up = nn.Parameter(torch.empty(num_directions, width, DELTA_RANK).normal_(std=0.5 * DELTA_RANK**-0.5))
        steps = torch.linspace(math.log(MIN_DELTA), math.log(MAX_DELTA), PERIOD)[torch.arange(width) % PERIOD].exp()
        self.delta_bias = nn.Parameter(steps.expm1().log().repeat(num_directions, 1))
        self.log_A = nn.Parameter(torch.arange(1.0, state_size + 1).log()[:, None].repeat(num_directions, 1, width))
        self.B = scaled_weight(num_directions, state_size, width)
        self.C = scaled_weight(num_directions, state_size, width)
        self.D = nn.Parameter(torch.ones(num_directions, width))
        self.norm = LayerNorm(width)
        self.output = Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        x = F.silu(self.input(x.movedim(1, -1)))
        weight = torch.cat([self.delta_down, self.B, self.C], dim=1)
        projected = F.linear(x, scaled(weight.flatten(0, 1), x.shape[-1])).unflatten(-1, weight.shape[:2])
        y = self._both_ways(x, projected, 0)
        for first in range(2, len(self.D), 2):
            y += self._both_ways(x, projected, first)
        return self.output(self.norm(y.movedim(-1, 1)).movedim(1, -1)).movedim(-1, 1)

    def _both_ways(self, x: Tensor, projected: Tensor, first: int) -> Tensor:
        """The direction `first` and the one back, if there is one: (batch, *spatial, width) -> the same.

        `projected` holds delta, B and C before their use, (batch, *spatial, directions, DELTA_RANK + 2 states).
        """
        ndim, states = x.dim() - 2, self.B.shape[1]
        turn = first // 2 % ndim
        leading, trailing = tuple(range(1, 1 + turn)), tuple(range(1 + ndim - turn, 1 + ndim))
        x, projected = (each.movedim(leading, trailing) for each in (x, projected))
        flat, projected = x.flatten(1, ndim), projected.flatten(1, ndim)
        ways = []
        for k in range(first, min(first + 2, len(self.D))):
            low, B, C = projected[:, :, k].split([DELTA_RANK, states, states], dim=-1)
            delta = F.linear(low, self.delta_up[k], self.delta_bias[k])
            A = -self.log_A[k].exp().T
            ways.append(selective_scan(flat, delta, A, B, C, self.D[k], delta_softplus=True, reverse=k > first))
        y = ways[0].add_(ways[1]) if len(ways) > 1 else ways[0]
        return y.unflatten(1, x.shape[1:-1]).movedim(trailing, leading)

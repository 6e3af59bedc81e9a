"""The selective state space recurrence as it is defined: one position after the other."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def selective_scan(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    *,
    delta_softplus: bool = False,
    reverse: bool = False,
) -> Tensor:
    """y_t = C_t h_t + D x_t of the states h_t = exp(delta_t A) h_(t-1) + delta_t B_t x_t, which begin at zero.

    `x` and `delta` are (batch, length, channels), `A` is (channels, state) and negative, `B` and `C` are (batch,
    length, state), `D` is (channels,); the output is like `x`. `delta` is not negative, or with `delta_softplus` its
    softplus is taken. With `reverse` time runs from the last position to the first.

    Source: Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, equations 2 and 4,
    algorithm 2, with B discretised to delta B as in its public code.
    """
    if delta_softplus:
        delta = F.softplus(delta)
    times = range(x.shape[1])
    h = torch.zeros(len(x), *A.shape, dtype=x.dtype, device=x.device)
    y = {}
    for t in reversed(times) if reverse else times:
        h = (delta[:, t, :, None] * A).exp() * h + (delta[:, t] * x[:, t])[:, :, None] * B[:, t, None, :]
        y[t] = (h * C[:, t, None, :]).sum(dim=2) + D * x[:, t]
    return torch.stack([y[t] for t in times], dim=1)

"""The recurrence on a CPU: chunks side by side, in about three square roots of the length vectorised steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

BLOCK = 2**18
"""Values of x worked on at once. The temporaries of a block stay in the cache, and the next block reuses them."""


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
    """What `reference` defines, in float32 or wider. Keeps its inputs alone for the backward pass."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    inputs = (tensor.to(dtype) for tensor in (x, delta, A, B, C, D))
    return _SelectiveScan.apply(*inputs, delta_softplus, reverse).to(x.dtype)


class _SelectiveScan(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor,
        delta_softplus: bool,
        reverse: bool,
    ) -> Tensor:
        ctx.save_for_backward(x, delta, A, B, C, D)
        ctx.delta_softplus, ctx.reverse = delta_softplus, reverse
        if torch.compiler.is_exporting():
            return _graph(x, delta, A, B, C, D, delta_softplus, reverse)
        y = torch.empty_like(x)
        for i in _blocks(x):
            y[i] = _outputs(x[i], delta[i], A, B[i], C[i], D, delta_softplus, reverse)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, delta, A, B, C, D = ctx.saved_tensors
        grad_x, grad_delta, grad_B, grad_C = (torch.empty_like(each) for each in (x, delta, B, C))
        grad_A, grad_D = torch.zeros_like(A), torch.zeros_like(D)
        for i in _blocks(x):
            grads = _gradients(grad[i], x[i], delta[i], A, B[i], C[i], D, ctx.delta_softplus, ctx.reverse)
            grad_x[i], grad_delta[i], grad_B[i], grad_C[i] = grads[0], grads[1], grads[3], grads[4]
            grad_A += grads[2]
            grad_D += grads[5]
        return grad_x, grad_delta, grad_A, grad_B, grad_C, grad_D, None, None


def _blocks(x: Tensor) -> Iterator[slice]:
    """Parts of the batch, as equal as can be."""
    count = min(len(x), max(1, round(x.numel() / BLOCK)))
    size = -(-len(x) // count)
    return (slice(first, first + size) for first in range(0, len(x), size))


def _outputs(
    x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_softplus: bool, reverse: bool
) -> Tensor:
    """States are visited one by one, so that nothing here has both a channel and a state axis."""
    delta = F.softplus(delta) if delta_softplus else delta
    y, drive = D * x, delta * x
    for n in range(A.shape[1]):
        a, b = (delta * A[:, n]).exp_(), drive * B[:, :, n, None]
        y.addcmul_(torch.addcmul(b, a, previous_states(a, b, reverse)), C[:, :, n, None])
    return y


def _graph(
    x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_softplus: bool, reverse: bool
) -> Tensor:
    """All states at once: an exported graph must suit batches of any size, and remain small with many states."""
    delta = F.softplus(delta) if delta_softplus else delta
    a = (delta.unsqueeze(3) * A).exp().flatten(2)
    b = ((delta * x).unsqueeze(3) * B.unsqueeze(2)).flatten(2)
    h = torch.addcmul(b, a, previous_states(a, b, reverse)).unflatten(2, A.shape)
    return (h * C.unsqueeze(2)).sum(dim=3) + D * x


def _gradients(
    grad: Tensor,
    x: Tensor,
    raw_delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_softplus: bool,
    reverse: bool,
) -> tuple[Tensor, ...]:
    """Of x, delta, A, B, C and D. The gradient of the states obeys the same recurrence, in reversed time."""
    delta = F.softplus(raw_delta) if delta_softplus else raw_delta
    drive = delta * x
    grad_delta, grad_drive = torch.zeros_like(x), torch.zeros_like(x)
    grad_A, grad_B, grad_C = torch.empty_like(A), torch.empty_like(B), torch.empty_like(C)
    for n in range(A.shape[1]):
        A_n, B_n, C_n = A[:, n], B[:, :, n, None], C[:, :, n, None]
        a, b = (delta * A_n).exp_(), drive * B_n
        decayed = previous_states(a, b, reverse).mul_(a)
        grad_C[:, :, n] = b.add_(decayed).mul_(grad).sum(dim=2)
        grad_h = grad * C_n
        grad_h += previous_states(a, a.mul(grad_h), not reverse)
        decayed.mul_(grad_h)
        grad_delta.addcmul_(decayed, A_n)
        grad_A[:, n] = decayed.mul_(delta).sum(dim=(0, 1))
        grad_drive.addcmul_(grad_h, B_n)
        grad_B[:, :, n] = grad_h.mul_(drive).sum(dim=2)
    grad_delta.addcmul_(grad_drive, x)
    if delta_softplus:
        grad_delta *= raw_delta.sigmoid()
    return grad_drive.mul_(delta).addcmul_(grad, D), grad_delta, grad_A, grad_B, grad_C, (grad * x).sum(dim=(0, 1))


def previous_states(a: Tensor, b: Tensor, reverse: bool) -> Tensor:
    """h_(t-1) of the recurrence h_t = a_t h_(t-1) + b_t at each position t of (batch, length, channels).

    Chunks are worked on side by side: what each of them adds and by how much it multiplies the state that enters it,
    then the states that enter, one chunk after the other, then the states inside. The products may underflow to zero:
    nothing is divided by them.
    """
    length = a.shape[1]
    size = math.isqrt(length)
    missing = -length % size
    if missing:
        a, b = (F.pad(each, (0, 0, 0, missing)) for each in (a, b))
    a, b = (each.unflatten(1, (-1, size)) for each in (a, b))
    steps = _in_time(a, b, 2, reverse)
    added = steps[0][1]
    for decay, drive in steps[1:]:
        added = torch.addcmul(drive, decay, added)
    chunks = _in_time(a.prod(dim=2), added, 1, reverse)
    entering = _before(chunks, torch.zeros_like(chunks[0][1]), 1, reverse)
    states = _before(steps, entering, 2, reverse).flatten(1, 2)
    return states[:, :length] if missing else states


def _in_time(a: Tensor, b: Tensor, dim: int, reverse: bool) -> list[tuple[Tensor, Tensor]]:
    """The pairs (a_t, b_t) along an axis, the earliest first."""
    pairs = list(zip(a.unbind(dim), b.unbind(dim), strict=True))
    return pairs[::-1] if reverse else pairs


def _before(pairs: list[tuple[Tensor, Tensor]], state: Tensor, dim: int, reverse: bool) -> Tensor:
    """The states before each of the pairs, from the first of them on, stacked by position along a new axis."""
    states = [state]
    for decay, drive in pairs[:-1]:
        states.append(torch.addcmul(drive, decay, states[-1]))
    return torch.stack(states[::-1] if reverse else states, dim=dim)

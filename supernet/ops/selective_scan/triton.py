"""The recurrence on a GPU: one program for each image and block of channels, with the loop over time inside."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

CHANNELS = 32
"""Channels of one program; their states stay in its registers."""


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
    """What `reference` defines, in float32 or wider. States are kept at the start of each chunk of the length only."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    inputs = [tensor.to(dtype) for tensor in (x, delta, A, B, C, D)]
    if delta_softplus:
        inputs[1] = F.softplus(inputs[1])
    return _SelectiveScan.apply(*(tensor.contiguous() for tensor in inputs), reverse).to(x.dtype)


class _SelectiveScan(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, reverse: bool
    ) -> Tensor:
        batch, length, channels = x.shape
        ctx.sizes = (length, channels, A.shape[1], math.isqrt(length))
        ctx.grid = (batch, triton.cdiv(channels, CHANNELS))
        ctx.blocks = (CHANNELS, triton.next_power_of_2(A.shape[1]), reverse)
        entering = torch.empty(batch, triton.cdiv(length, ctx.sizes[-1]), *A.shape, dtype=x.dtype, device=x.device)
        y = torch.empty_like(x)
        with torch.cuda.device_of(x):
            _forward[ctx.grid](x, delta, A, B, C, D, y, entering, *ctx.sizes, *ctx.blocks, num_warps=1)
        ctx.save_for_backward(x, delta, A, B, C, D, entering)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, delta, A, B, C, D, entering = ctx.saved_tensors
        batch, blocks = ctx.grid
        grad_x, grad_delta = torch.empty_like(x), torch.empty_like(x)
        # States of one chunk at a time; a chunk has no more positions than there are chunks.
        previous = torch.empty_like(entering)
        grad_A, grad_D = (torch.empty(batch, *each.shape, dtype=x.dtype, device=x.device) for each in (A, D))
        grad_B, grad_C = (torch.empty(blocks, *each.shape, dtype=x.dtype, device=x.device) for each in (B, C))
        grads = (grad_x, grad_delta, grad_A, grad_B, grad_C, grad_D)
        given = (grad.contiguous(), x, delta, A, B, C, D, entering)
        with torch.cuda.device_of(x):
            _backward[ctx.grid](*given, previous, *grads, *ctx.sizes, *ctx.blocks, num_warps=1)
        return grad_x, grad_delta, grad_A.sum(0), grad_B.sum(0), grad_C.sum(0), grad_D.sum(0), None


@triton.jit
def _forward(
    x_ptr,
    delta_ptr,
    A_ptr,
    B_ptr,
    C_ptr,
    D_ptr,
    y_ptr,
    entering_ptr,
    length,
    channels,
    states,
    chunk,
    CHANNELS: tl.constexpr,
    STATES: tl.constexpr,
    REVERSE: tl.constexpr,
):
    image = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    n = tl.arange(0, STATES)
    tile = c[:, None] * states + n[None, :]
    is_channel, is_state = c < channels, n < states
    is_tile = is_channel[:, None] & is_state[None, :]
    A = tl.load(A_ptr + tile, is_tile, 0.0)
    D = tl.load(D_ptr + c, is_channel, 0.0)
    h = A * 0
    for step in range(length):
        if step % chunk == 0:
            number = image * tl.cdiv(length, chunk) + step // chunk
            tl.store(entering_ptr + number * channels * states + tile, h, is_tile)
        t = image * length + (length - 1 - step if REVERSE else step)
        x = tl.load(x_ptr + t * channels + c, is_channel, 0.0)
        delta = tl.load(delta_ptr + t * channels + c, is_channel, 0.0)
        B = tl.load(B_ptr + t * states + n, is_state, 0.0)
        C = tl.load(C_ptr + t * states + n, is_state, 0.0)
        h = tl.exp(delta[:, None] * A) * h + (delta * x)[:, None] * B[None, :]
        tl.store(y_ptr + t * channels + c, tl.sum(h * C[None, :], axis=1) + D * x, is_channel)


@triton.jit
def _backward(
    grad_ptr,
    x_ptr,
    delta_ptr,
    A_ptr,
    B_ptr,
    C_ptr,
    D_ptr,
    entering_ptr,
    previous_ptr,
    grad_x_ptr,
    grad_delta_ptr,
    grad_A_ptr,
    grad_B_ptr,
    grad_C_ptr,
    grad_D_ptr,
    length,
    channels,
    states,
    chunk,
    CHANNELS: tl.constexpr,
    STATES: tl.constexpr,
    REVERSE: tl.constexpr,
):
    image = tl.program_id(0).to(tl.int64)
    block = tl.program_id(1)
    c = block * CHANNELS + tl.arange(0, CHANNELS)
    n = tl.arange(0, STATES)
    tile = c[:, None] * states + n[None, :]
    is_channel, is_state = c < channels, n < states
    is_tile = is_channel[:, None] & is_state[None, :]
    A = tl.load(A_ptr + tile, is_tile, 0.0)
    D = tl.load(D_ptr + c, is_channel, 0.0)
    chunks = tl.cdiv(length, chunk)
    carry, grad_A, grad_D = A * 0, A * 0, D * 0
    for back in range(chunks):
        first = (chunks - 1 - back) * chunk
        size = tl.minimum(chunk, length - first)
        h = tl.load(entering_ptr + (image * chunks + chunks - 1 - back) * channels * states + tile, is_tile, 0.0)
        for i in range(size):
            tl.store(previous_ptr + (image * chunks + i) * channels * states + tile, h, is_tile)
            step = first + i
            t = image * length + (length - 1 - step if REVERSE else step)
            x = tl.load(x_ptr + t * channels + c, is_channel, 0.0)
            delta = tl.load(delta_ptr + t * channels + c, is_channel, 0.0)
            B = tl.load(B_ptr + t * states + n, is_state, 0.0)
            h = tl.exp(delta[:, None] * A) * h + (delta * x)[:, None] * B[None, :]
        tl.debug_barrier()
        for i in range(size):
            step = first + size - 1 - i
            t = image * length + (length - 1 - step if REVERSE else step)
            x = tl.load(x_ptr + t * channels + c, is_channel, 0.0)
            delta = tl.load(delta_ptr + t * channels + c, is_channel, 0.0)
            grad = tl.load(grad_ptr + t * channels + c, is_channel, 0.0)
            B = tl.load(B_ptr + t * states + n, is_state, 0.0)
            C = tl.load(C_ptr + t * states + n, is_state, 0.0)
            previous = tl.load(previous_ptr + (image * chunks + size - 1 - i) * channels * states + tile, is_tile, 0.0)
            decay = tl.exp(delta[:, None] * A)
            drive = delta * x
            h = decay * previous + drive[:, None] * B[None, :]
            grad_h = carry + grad[:, None] * C[None, :]
            carry = decay * grad_h
            grad_exponent = carry * previous
            grad_drive = tl.sum(grad_h * B[None, :], axis=1)
            grad_A += grad_exponent * delta[:, None]
            grad_D += grad * x
            grad_delta = tl.sum(grad_exponent * A, axis=1) + grad_drive * x
            tl.store(grad_x_ptr + t * channels + c, grad_drive * delta + grad * D, is_channel)
            tl.store(grad_delta_ptr + t * channels + c, grad_delta, is_channel)
            row = (block * tl.num_programs(0) * length + t) * states + n
            tl.store(grad_B_ptr + row, tl.sum(grad_h * drive[:, None], axis=0), is_state)
            tl.store(grad_C_ptr + row, tl.sum(h * grad[:, None], axis=0), is_state)
        tl.debug_barrier()
    tl.store(grad_A_ptr + image * channels * states + tile, grad_A, is_tile)
    tl.store(grad_D_ptr + image * channels + c, grad_D, is_channel)

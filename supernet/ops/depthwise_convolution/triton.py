"""Depthwise convolution and its weight gradient as Triton kernels.

Shapes: B batch, C channels, D depth, H height, W width; I, J, K the kernel along D, H and W, all odd. A program works
on a tile of positions, numbered over (B, D, H, W), by channels. Strides are arguments, so that any memory format is
read as it lies; sums are of float32, of float64 where the input is.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

POSITIONS, CHANNELS = 64, 32
"""The tile of a program."""

SPAN = 4096
"""Positions over which one program sums a weight's gradient; the sums of the programs are added afterwards, so that
the result is the same every time."""


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(B, C, D, H, W), (C, I, J, K), (C,) -> (B, C, D, H, W)."""
    out = torch.empty_like(x)
    channels, *volume = x.shape[1:]
    taps = weight.permute(1, 2, 3, 0).contiguous()
    positions = out.numel() // channels
    grid = (triton.cdiv(positions, POSITIONS), triton.cdiv(channels, CHANNELS))
    with torch.cuda.device_of(x):
        _convolve[grid](
            *(x, taps, taps if bias is None else bias, out, positions, channels, *volume, *weight.shape[1:]),
            *(*x.stride(), *out.stride()),
            HAS_BIAS=bias is not None,
            ACCUMULATOR=_accumulator(x),
            POSITIONS=POSITIONS,
            CHANNELS=CHANNELS,
        )
    return out


def weight_gradient(x: Tensor, gradient: Tensor, kernel: tuple[int, int, int]) -> Tensor:
    """(B, C, D, H, W) twice -> (C, I, J, K)."""
    channels, *volume = x.shape[1:]
    num_taps = kernel[0] * kernel[1] * kernel[2]
    positions = x.numel() // channels
    spans = triton.cdiv(positions, SPAN)
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    partial = torch.empty(spans, num_taps, channels, dtype=dtype, device=x.device)
    with torch.cuda.device_of(x):
        _correlate[(num_taps, triton.cdiv(channels, CHANNELS), spans)](
            *(x, gradient, partial, positions, channels, *volume, *kernel),
            *(*x.stride(), *gradient.stride()),
            ACCUMULATOR=_accumulator(x),
            POSITIONS=POSITIONS,
            CHANNELS=CHANNELS,
            SPAN=SPAN,
        )
    return partial.sum(dim=0).T.reshape(channels, *kernel).to(x.dtype)


def _accumulator(x: Tensor) -> tl.dtype:
    return tl.float64 if x.dtype == torch.float64 else tl.float32


@triton.jit
def _load_shifted(
    x, positions, channels, shift_d, shift_h, shift_w, num_positions, num_channels, D, H, W, B_, C_, D_, H_, W_
):  # fmt: skip
    """Values (positions, channels) so many places further on, with strides B_ to W_; zeros around the image."""
    w = positions % W + shift_w
    h = positions // W % H + shift_h
    d = positions // (W * H) % D + shift_d
    b = (positions // (W * H * D)).to(tl.int64)
    inside = (positions < num_positions) & (d >= 0) & (d < D) & (h >= 0) & (h < H) & (w >= 0) & (w < W)
    offsets = b * B_ + d * D_ + h * H_ + w * W_
    mask = inside[:, None] & (channels < num_channels)[None, :]
    return tl.load(x + offsets[:, None] + channels[None, :] * C_, mask=mask, other=0.0)


@triton.jit
def _convolve(
    x, taps, bias, out, num_positions, num_channels, D, H, W, KD, KH, KW,
    x_b, x_c, x_d, x_h, x_w, out_b, out_c, out_d, out_h, out_w,
    HAS_BIAS: tl.constexpr, ACCUMULATOR: tl.constexpr, POSITIONS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    positions = tl.program_id(0) * POSITIONS + tl.arange(0, POSITIONS)
    channels = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    present = channels < num_channels
    total = tl.zeros((POSITIONS, CHANNELS), ACCUMULATOR)
    if HAS_BIAS:
        total += tl.load(bias + channels, mask=present, other=0.0).to(ACCUMULATOR)[None, :]
    for i in range(KD):
        for j in range(KH):
            for k in range(KW):
                shifted = _load_shifted(
                    x, positions, channels, i - KD // 2, j - KH // 2, k - KW // 2,
                    num_positions, num_channels, D, H, W, x_b, x_c, x_d, x_h, x_w,
                )  # fmt: skip
                tap = tl.load(taps + ((i * KH + j) * KW + k) * num_channels + channels, mask=present, other=0.0)
                total += shifted.to(ACCUMULATOR) * tap.to(ACCUMULATOR)[None, :]
    w = positions % W
    h = positions // W % H
    d = positions // (W * H) % D
    b = (positions // (W * H * D)).to(tl.int64)
    offsets = b * out_b + d * out_d + h * out_h + w * out_w
    mask = (positions < num_positions)[:, None] & present[None, :]
    tl.store(out + offsets[:, None] + channels[None, :] * out_c, total.to(out.dtype.element_ty), mask=mask)


@triton.jit
def _correlate(
    x, gradient, partial, num_positions, num_channels, D, H, W, KD, KH, KW,
    x_b, x_c, x_d, x_h, x_w, g_b, g_c, g_d, g_h, g_w,
    ACCUMULATOR: tl.constexpr, POSITIONS: tl.constexpr, CHANNELS: tl.constexpr, SPAN: tl.constexpr,
):  # fmt: skip
    tap = tl.program_id(0)
    channels = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    first = tl.program_id(2) * SPAN
    total = tl.zeros((POSITIONS, CHANNELS), ACCUMULATOR)
    for start in range(0, SPAN, POSITIONS):
        positions = first + start + tl.arange(0, POSITIONS)
        shifted = _load_shifted(
            x, positions, channels, tap // (KH * KW) - KD // 2, tap // KW % KH - KH // 2, tap % KW - KW // 2,
            num_positions, num_channels, D, H, W, x_b, x_c, x_d, x_h, x_w,
        )  # fmt: skip
        centre = _load_shifted(
            gradient, positions, channels, 0, 0, 0, num_positions, num_channels, D, H, W, g_b, g_c, g_d, g_h, g_w
        )
        total += shifted.to(ACCUMULATOR) * centre.to(ACCUMULATOR)
    place = (tl.program_id(2) * tl.num_programs(0) + tap) * num_channels + channels
    tl.store(partial + place, tl.sum(total, axis=0), mask=channels < num_channels)

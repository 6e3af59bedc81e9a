"""Depthwise convolution with kernels of any odd size, made for large ones.

The gradient of the input is again a depthwise convolution, with the kernel mirrored; that of the weight is a
correlation of input and output gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from supernet.ops.depthwise_convolution import cpu

__all__ = ["crop", "depthwise_convolution"]


def depthwise_convolution(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(batch, channels, *spatial) -> the same, with zeros around the image; float32 sums in bfloat16.

    `weight` is (channels, 1, *kernel) of odd sizes, `bias` (channels,). One, two or three spatial axes. A CUDA tensor
    takes the Triton path.
    """
    device = x.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
    spatial = x.shape[2:]
    weight = crop(weight, spatial)
    flat = (1,) * (3 - len(spatial))
    volume = x.reshape(*x.shape[:2], *flat, *spatial)
    out: Tensor = _Convolution.apply(volume, weight.reshape(len(weight), *flat, *weight.shape[2:]), bias)
    return out.reshape(x.shape)


def crop(weight: Tensor, spatial: Sequence[int], dilation: int = 1) -> Tensor:
    """The taps of a kernel (channels, 1, *kernel) that can meet an image: exact, since the others meet only padding.

    Along an axis of n positions they are at most n - 1 positions from the centre.
    """
    for axis, size in enumerate(spatial, start=2):
        unused = weight.shape[axis] // 2 - (size - 1) // dilation
        if unused > 0:
            weight = weight.narrow(axis, unused, weight.shape[axis] - 2 * unused)
    return weight


class _Convolution(torch.autograd.Function):
    """(B, C, D, H, W), (C, I, J, K), (C,) -> (B, C, D, H, W)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _backend(x).convolve(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        to_x, to_weight, to_bias = ctx.needs_input_grad
        backend = _backend(x)
        return (
            backend.convolve(gradient, weight.flip(1, 2, 3), None) if to_x else None,
            backend.weight_gradient(x, gradient, weight.shape[1:]) if to_weight else None,
            gradient.sum(dim=(0, 2, 3, 4)) if to_bias else None,
        )


def _backend(x: Tensor) -> Any:
    if not x.is_cuda:
        return cpu
    from supernet.ops.depthwise_convolution import triton

    return triton

"""Dynamic convolution as a sum over shifted images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def dynamic_convolution(x: Tensor, weight: Tensor, group_size: int) -> Tensor:
    """A convolution in which each position has a kernel of its own: (batch, width, *spatial) -> the same.

    `weight` is (batch, groups, taps, *spatial), the taps of an odd kernel in row-major order; with spatial axes of size
    1, one kernel serves the whole image. Channel i is in group i // group_size, of which there are
    ceil(width / group_size). Outside the image there are zeros. Raises ValueError for a weight of another shape.

    Rows lie end to end with `radius` zeros behind each, which are also the zeros in front of the next one. A tap then
    reads the whole image at one constant shift.
    """
    width, spatial = x.shape[1], x.shape[2:]
    groups, taps = weight.shape[1:3]
    radius = round(taps ** (1 / len(spatial))) // 2
    if taps != (2 * radius + 1) ** len(spatial) or groups != -(-width // group_size):
        raise ValueError(
            f"a weight of {groups} groups and {taps} taps does not fit {width} channels in groups of {group_size} "
            f"and an odd kernel in {len(spatial)} dimensions"
        )
    padded = [spatial[0], *(size + radius for size in spatial[1:])]
    steps = [math.prod(padded[axis:]) for axis in range(1, len(padded) + 1)]
    start = (radius + 1) * steps[0]
    shifts = [
        start + sum(offset * step for offset, step in zip(offsets, steps, strict=True))
        for offsets in product(range(-radius, radius + 1), repeat=len(spatial))
    ]
    behind = (0, radius) * (len(spatial) - 1)
    image = F.pad(x.contiguous(), (*behind, radius + 1, radius + 1, 0, groups * group_size - width))
    kernels = weight.to(x.dtype)
    if weight.shape[3:] == spatial:
        kernels = F.pad(kernels, behind)
    image = image.flatten(2).unflatten(1, (groups, group_size))
    out = cast(Tensor, _SumOfShifts.apply(image, kernels.flatten(3), shifts))
    out = out.flatten(1, 2)[:, :width].unflatten(2, padded)
    for axis, size in enumerate(spatial):
        out = out.narrow(2 + axis, 0, size)
    return out


class _SumOfShifts(torch.autograd.Function):
    """out[b, g, c, p] = sum over taps t of kernels[b, g, t, p] * image[b, g, c, p + shifts[t]].

    Differentiated by hand: autograd would write a zero-filled gradient of the whole image for every tap.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, kernels: Tensor, shifts: Sequence[int]) -> Tensor:
        ctx.save_for_backward(image, kernels)
        ctx.shifts = shifts
        length = image.shape[-1] - 2 * shifts[len(shifts) // 2]
        out = image[..., shifts[0] : shifts[0] + length] * kernels[:, :, :1]
        for tap, shift in enumerate(shifts[1:], start=1):
            out.addcmul_(image[..., shift : shift + length], kernels[:, :, tap, None])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        image, kernels = ctx.saved_tensors
        gradient = gradient.contiguous()
        of_image, of_kernels, product = torch.zeros_like(image), torch.empty_like(kernels), torch.empty_like(gradient)
        for tap, shift in enumerate(ctx.shifts):
            part = slice(shift, shift + gradient.shape[-1])
            of_image[..., part].addcmul_(gradient, kernels[:, :, tap, None])
            torch.mul(gradient, image[..., part], out=product)
            of_kernels[:, :, tap] = product.sum(dim=2).sum_to_size(of_kernels[:, :, tap].shape)
        return of_image, of_kernels, None

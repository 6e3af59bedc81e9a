"""The definition of a depthwise convolution: a sum over the taps of the kernel."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def depthwise_convolution(x: Tensor, weight: Tensor, bias: Tensor, dilation: int = 1) -> Tensor:
    """(batch, channels, *spatial) -> the same, with an odd kernel (channels, 1, *kernel) and zeros around the image."""
    kernel, spatial = weight.shape[2:], x.shape[2:]
    reach = [size // 2 * dilation for size in kernel]
    padded = F.pad(x, [each for size in reversed(reach) for each in (size, size)])
    channelwise = (-1, *[1] * len(spatial))
    out = torch.zeros_like(x) + bias.view(channelwise)
    places = itertools.product(*(range(size) for size in kernel))
    for tap, place in zip(weight.flatten(1).unbind(dim=1), places, strict=True):
        window: tuple[Any, ...] = tuple(
            slice(i * dilation, i * dilation + n) for i, n in zip(place, spatial, strict=True)
        )
        out = out + padded[(..., *window)] * tap.view(channelwise)
    return out

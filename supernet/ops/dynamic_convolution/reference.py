"""The mathematics of dynamic convolution, tap by tap."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def dynamic_convolution(x: Tensor, weight: Tensor, group_size: int) -> Tensor:
    """out[b, i, p] = sum over taps t of weight[b, i // group_size, t, p] * x[b, i, p + offset(t)].

    Shapes as for `supernet.ops.dynamic_convolution.dynamic_convolution`; x is 0 outside the image.
    """
    spatial = x.shape[2:]
    kernel_size = round(weight.shape[2] ** (1 / len(spatial)))
    padded = F.pad(x, (kernel_size // 2, kernel_size // 2) * len(spatial))
    weight = weight.repeat_interleave(group_size, dim=1)[:, : x.shape[1]]
    out = torch.zeros_like(x)
    for tap, offsets in enumerate(product(range(kernel_size), repeat=len(spatial))):
        neighbours: Any = (..., *(slice(o, o + size) for o, size in zip(offsets, spatial, strict=True)))
        out = out + weight[:, :, tap] * padded[neighbours]
    return out

"""Patches of images of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.ops.convolution import FUNCTIONS
from supernet.ops.linear import scaled, scaled_weight

POOLS: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def whole_patches(x: Tensor, stride: int) -> Tensor:
    """(batch, channels, *spatial) with zeros at its far ends, so that every size is a multiple of the stride."""
    missing = [-size % stride for size in x.shape[2:]]
    return F.pad(x, [end for amount in reversed(missing) for end in (0, amount)]) if any(missing) else x


def patch_means(x: Tensor, stride: int) -> Tensor:
    """The mean of each patch over the positions that the image has: (batch, channels, *ceil(spatial / stride))."""
    window = [min(stride, size) for size in x.shape[2:]]
    wide = x.to(torch.promote_types(x.dtype, torch.float32))  # CPUs have no 3-D pooling in bfloat16
    return POOLS[x.dim() - 2](wide, window, ceil_mode=True, count_include_pad=False).to(x.dtype)


class PatchConvolution(nn.Module):
    """A linear map, with a scaled weight and a bias, of the patch of `size` positions around each one of `stride`.

    (batch, in_channels, *spatial) -> (batch, width, *ceil(spatial / stride)), with zeros around the image. The size is
    the stride, and then patches do not overlap, or an even number of positions more. Smaller ones are the centre of
    larger ones.
    """

    centred: ClassVar[dict[str, tuple[int, ...]]] = {"weight": (2, 3, 4)}

    def __init__(self, in_channels: int, width: int, *, size: int, stride: int, ndim: int) -> None:
        super().__init__()
        self.stride, self.padding = stride, (size - stride) // 2
        self.weight = scaled_weight(width, in_channels, *(size,) * ndim)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        weight = scaled(self.weight, self.weight[0].numel())
        convolve = FUNCTIONS[x.dim() - 2]
        return convolve(whole_patches(x, self.stride), weight, self.bias, stride=self.stride, padding=self.padding)

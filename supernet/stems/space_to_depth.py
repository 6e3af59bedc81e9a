"""Space to depth."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.ops.linear import scaled, scaled_weight
from supernet.ops.patches import whole_patches


class SpaceToDepth(nn.Module):
    """The positions of each patch become channels, then a linear map of all of them; the inverse of sub-pixel layers.

    The image is padded with zeros at its far ends to whole patches. It computes what the patch embedding computes, as
    a rearrangement and one matrix product instead of a strided convolution; a smaller stride uses the first positions
    of the patch, where the patch embedding uses the middle ones.

    Use: where matrix products are faster than strided convolutions, and as a downsampler that loses nothing.

    Source: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
    Neural Network" (ESPCN), CVPR 2016, equation 4, inverted.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"stride": (1, 2, 4, 8, 16)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, in_channels: int, width: int, *, ndim: int = 2, stride: int = 2) -> None:
        super().__init__()
        self.weight = scaled_weight(width, in_channels, *(stride,) * ndim)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, *spatial) -> (batch, width, *ceil(spatial / stride))."""
        ndim, stride = x.dim() - 2, self.weight.shape[2]
        x = whole_patches(x, stride)
        for axis in range(2, 2 + 2 * ndim, 2):
            x = x.unflatten(axis, (x.shape[axis] // stride, stride))
        x = x.permute(0, *range(2, 2 + 2 * ndim, 2), 1, *range(3, 3 + 2 * ndim, 2)).flatten(1 + ndim)
        return F.linear(x, scaled(self.weight.flatten(1), x.shape[-1]), self.bias).movedim(-1, 1)

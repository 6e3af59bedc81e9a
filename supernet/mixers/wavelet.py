"""Wavelet mixing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.norms.layer import LayerNorm
from supernet.ops.linear import Linear, scaled, scaled_weight
from supernet.ops.wavelet import analysis

EXPANSION = 2
KERNEL_SIZE = 4

TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


class Wavelet(nn.Module):
    """Haar wavelet bands at `levels` resolutions, mixed over channels and brought up again from the coarsest.

    The channels are first reduced to width / 2^ndim, so that the bands of a level together are about `width` numbers
    for each position. At each level an MLP reads the bands and what the next coarser level gave, and a transposed
    convolution of stride 2 doubles the size. With no levels the mixer is the identity.

    Images of odd size repeat their last position before the transform; the paper's code adds a zero, which makes an
    edge. Layer norm stands for the batch norm after each transposed convolution, since an image must not see the others
    of its batch. There is no dropout.

    Use: for a field of view of 2^levels positions and more from small linear maps, on images that are large enough.

    Source: Jeevan et al., "WaveMix: A Resource-efficient Neural Network for Image Analysis", 2022, section 3.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"levels": (1, 2, 3, 4)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, levels: int = 2) -> None:
        super().__init__()
        reduced, half, hidden = -(-width // 2**ndim), -(-width // 2), EXPANSION * width
        self.reduction = Linear(width, reduced) if levels else nn.Identity()
        self.mixes = nn.ModuleList(_Mix(reduced, hidden, ndim) for _ in range(levels))
        self.joins = nn.ModuleList(Linear(half, hidden) for _ in range(1, levels))
        self.rises = nn.ModuleList(_Rise(width, half if level else width, ndim) for level in range(levels))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        low = self.reduction(x.movedim(1, -1))
        bands, sizes = [], []
        for _ in self.mixes:
            sizes.append(low.shape[1:-1])
            bands.append(analysis(low))
            low = bands[-1][..., 0, :]
        for level in reversed(range(len(bands))):
            hidden = self.mixes[level](bands[level])
            if level < len(self.joins):
                hidden = hidden + self.joins[level](x.movedim(1, -1))
            x = self.rises[level](F.gelu(hidden), sizes[level])
        return x


class _Mix(nn.Module):
    """A linear map of all bands of a position: (..., 2^ndim, channels) -> (..., hidden)."""

    def __init__(self, channels: int, hidden: int, ndim: int) -> None:
        super().__init__()
        self.weight = scaled_weight(hidden, 2**ndim, channels)
        self.bias = nn.Parameter(torch.zeros(hidden))

    def forward(self, bands: Tensor) -> Tensor:
        weight = self.weight.flatten(1)
        return F.linear(bands.flatten(-2), scaled(weight, weight.shape[1]), self.bias)


class _Rise(nn.Module):
    """A linear map back to `width` channels and a transposed convolution to `out` channels at twice the size."""

    def __init__(self, width: int, out: int, ndim: int) -> None:
        super().__init__()
        self.linear = Linear(EXPANSION * width, width)
        self.weight = scaled_weight(width, out, *(KERNEL_SIZE,) * ndim)
        self.norm = LayerNorm(out, ndim=ndim)

    def forward(self, hidden: Tensor, spatial: Sequence[int]) -> Tensor:
        """(batch, *half, hidden) -> (batch, out, *spatial)."""
        ndim, width = len(spatial), self.weight.shape[0]
        image = self.linear(hidden).movedim(-1, 1)
        image = TRANSPOSED[ndim](image, scaled(self.weight, width * 2**ndim), stride=2, padding=1)
        for axis, size in enumerate(spatial, start=2):
            image = image.narrow(axis, 0, size)
        return cast(Tensor, self.norm(image))

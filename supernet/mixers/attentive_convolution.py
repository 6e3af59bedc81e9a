"""Attentive convolution."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.ops.dynamic_convolution import dynamic_convolution
from supernet.ops.linear import Linear

REGIONS = 3
"""Regions along each axis that the image is summarised by."""


class AttentiveConvolution(nn.Module):
    """A depthwise convolution whose kernels are made from the image, and whose taps compete.

    Routing: the means of 3 x 3 regions of the image, mapped across channels, GELU, and mapped to the taps by one matrix
    for all channels, are a kernel for each image and channel. Inhibition: from each kernel the mean of its taps is
    subtracted, times a learned share between 0 and 1 per channel. The projected image is convolved with the kernels and
    projected once more.

    The published code averages runs of positions in row-major order, as many as there are taps. Regions of a grid do
    the same in 1, 2 and 3 dimensions, and a fixed number of them keeps its meaning when the kernel grows. The code
    starts with kernels near 0; here they start near the identity, so that the output begins at the scale of the input.

    Use: to adapt small kernels to the image as a whole, where attention is too slow.

    Source: Yu et al., "Attentive Convolution: Unifying the Expressivity of Self-Attention with Convolutional
    Efficiency", 2025, the operator ATConv (adaptive routing and lateral inhibition) as in its published code.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"kernel_size": (3, 5, 7)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)
    centred: ClassVar[dict[str, tuple[int, ...]]] = {"kernels": (1, 2, 3), "offset": (0, 1, 2)}

    def __init__(self, width: int, *, ndim: int = 2, kernel_size: int = 3) -> None:
        super().__init__()
        taps = (kernel_size,) * ndim
        self.context = Linear(width, width)
        self.kernels = nn.Parameter(torch.empty(REGIONS**ndim, *taps).normal_(std=kernel_size ** (-ndim / 2)))
        self.offset = nn.Parameter(torch.zeros(taps))
        self.inhibition = nn.Parameter(torch.zeros(width))
        self.value = Linear(width, width)
        self.output = Linear(width, width)
        nn.init.dirac_(self.offset.view(1, 1, *taps))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        kernels = self._kernels(x)
        kernels = kernels.view(*kernels.shape, *[1] * (x.dim() - 2))
        out = dynamic_convolution(self.value(x.movedim(1, -1)).movedim(-1, 1), kernels, group_size=1)
        return self.output(out.movedim(1, -1)).movedim(-1, 1)

    def _kernels(self, x: Tensor) -> Tensor:
        """(batch, width, taps)."""
        context = F.gelu(self.context(_region_means(x).mT)).mT
        kernels = F.linear(context, self.kernels.flatten(1).T, self.offset.flatten())
        return kernels - self.inhibition.sigmoid()[:, None] * kernels.mean(dim=2, keepdim=True)


def _region_means(x: Tensor) -> Tensor:
    """(batch, width, *spatial) -> (batch, width, regions). Regions are those of `F.adaptive_avg_pool2d`."""
    for axis, size in enumerate(x.shape[2:], start=2):
        starts = [i * size // REGIONS for i in range(REGIONS)]
        ends = [-(-i * size // REGIONS) for i in range(1, REGIONS + 1)]
        parts = [x.narrow(axis, start, end - start).mean(axis) for start, end in zip(starts, ends, strict=True)]
        x = torch.stack(parts, dim=axis)
    return x.flatten(2)

"""Strided mobile convolutions."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from supernet.ops.inverted_bottleneck import InvertedBottleneck
from supernet.ops.linear import Linear
from supernet.ops.patches import patch_means


class Mobile(nn.Module):
    """Inverted residual blocks that each halve the image, their shortcut a linear map of the means of 2 x 2 positions.

    There are log2(stride) blocks, and for stride 1 one that does not halve, so that a smaller stride is the beginning
    of a larger one; each has `expansion` x width hidden units. Differences from the paper: it begins with two plain
    convolutions, which the convolutional stem offers; the shortcut is mapped even where the width stays, so that it
    means the same in every network; norms as in the mobile FFN.

    Use: small models, when the first positions deserve more computing than a patch embedding gives them.

    Source: Yang et al., "MOAT: Alternating Mobile Convolution and Attention Brings Strong Vision Models", ICLR 2023,
    section 3.1, its downsampling blocks.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"stride": (1, 2, 4, 8, 16), "expansion": (1, 2, 3, 4, 6)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, in_channels: int, width: int, *, ndim: int = 2, stride: int = 2, expansion: int = 4) -> None:
        super().__init__()
        widths = [in_channels] + [width] * max(1, stride.bit_length() - 1)
        self.blocks = nn.Sequential(
            *(_StridedResidual(before, width, expansion * width, min(stride, 2), ndim) for before in widths[:-1])
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, *spatial) -> (batch, width, *ceil(spatial / stride))."""
        return self.blocks(x)


class _StridedResidual(nn.Module):
    def __init__(self, in_channels: int, width: int, hidden: int, stride: int, ndim: int) -> None:
        super().__init__()
        self.stride = stride
        self.branch = InvertedBottleneck(in_channels, width, hidden=hidden, kernel_size=3, ndim=ndim, stride=stride)
        self.shortcut = Linear(in_channels, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.branch(x) + self.shortcut(patch_means(x, self.stride).movedim(1, -1)).movedim(-1, 1)

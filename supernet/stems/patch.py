"""Patch embedding."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from supernet.ops.patches import PatchConvolution


class Patch(nn.Module):
    """A linear map of patches that do not overlap; with stride 1, of single positions.

    The image is padded with zeros at its far ends to whole patches, so that any size will do. With stride 2 it is the
    downsampler of ConvNeXt. A smaller stride uses the centre of the patch.

    Use: the cheapest stem and downsampler, and the first to try; stride 1 keeps every position.

    Source: Dosovitskiy et al., "An Image Is Worth 16x16 Words" (ViT), ICLR 2021, equation 1; patches down to one pixel:
    Wang et al., "Scaling Laws in Patchification: An Image Is Worth 50,176 Tokens And More", 2025.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"stride": (1, 2, 4, 8, 16)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, in_channels: int, width: int, *, ndim: int = 2, stride: int = 2) -> None:
        super().__init__()
        self.convolution = PatchConvolution(in_channels, width, size=stride, stride=stride, ndim=ndim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, *spatial) -> (batch, width, *ceil(spatial / stride))."""
        return self.convolution(x)

"""Convolutional stem."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from supernet.norms.layer import LayerNorm
from supernet.ops.convolution import CONVOLUTIONS


class Convolution(nn.Module):
    """Overlapping 3 x 3 convolutions, each halving the image and then normalised, a GELU between them.

    (batch, in_channels, *spatial) -> (batch, width, *ceil(spatial / stride)); log2(stride) convolutions, and for
    stride 1 one that does not halve. Differences from the paper: every convolution has the full width instead of a
    growing one, so that a smaller stride is the beginning of a larger one; and layer norm stands for batch norm, so
    that nothing depends on the batch.

    Use: small images and small data: overlapping, normalised steps train more steadily than one patch map.

    Source: Lu et al., "Bridging the Gap Between Vision Transformers and Convolutional Neural Networks on Small
    Datasets" (DHVT), NeurIPS 2022, section 3.2 (sequential overlapping patch embedding).
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"stride": (1, 2, 4, 8, 16)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, in_channels: int, width: int, *, ndim: int = 2, stride: int = 2) -> None:
        super().__init__()
        widths = [in_channels] + [width] * max(1, stride.bit_length() - 1)
        convolutions = [
            CONVOLUTIONS[ndim](before, width, 3, stride=min(stride, 2), padding=1, bias=False) for before in widths[:-1]
        ]
        for convolution in convolutions:
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="linear")
        self.convolutions = nn.ModuleList(convolutions)
        self.norms = nn.ModuleList(LayerNorm(width, ndim=ndim) for _ in convolutions)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, *spatial) -> (batch, width, *ceil(spatial / stride))."""
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = norm(convolution(F.gelu(x) if i else x))
        return x

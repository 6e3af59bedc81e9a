"""Residual spatial reduction."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from supernet.norms.layer import LayerNorm
from supernet.ops.convolution import CONVOLUTIONS
from supernet.ops.patches import patch_means


class ResidualReduction(nn.Module):
    """The mean of each patch, in the channels that the input has, plus an overlapping strided convolution.

    The kernel is one wider than the stride. Differences from the paper: the norm follows the convolution instead of
    preceding it, because of the one channel of a grey image it would leave nothing; there is no position table,
    which would fix the size of the image; an output narrower than its input drops the last channels of the means.

    Use: deep networks of several stages: the identity path goes on through the downsampler and steadies training.

    Source: Liao et al., "Searching for Efficient Multi-Stage Vision Transformers" (ViT-ResNAS), 2021, section 3.1
    (residual spatial reduction).
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"stride": (2, 4, 8, 16)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, in_channels: int, width: int, *, ndim: int = 2, stride: int = 2) -> None:
        super().__init__()
        self.convolution = CONVOLUTIONS[ndim](in_channels, width, stride + 1, stride=stride, padding=stride // 2)
        nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="linear")
        assert self.convolution.bias is not None
        nn.init.zeros_(self.convolution.bias)
        self.norm = LayerNorm(width, ndim=ndim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, *spatial) -> (batch, width, *ceil(spatial / stride))."""
        branch = self.norm(self.convolution(x))
        means = patch_means(x, self.convolution.stride[0])[:, : branch.shape[1]]
        return branch + F.pad(means, [0, 0] * (x.dim() - 2) + [0, branch.shape[1] - means.shape[1]])

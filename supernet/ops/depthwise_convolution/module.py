"""The depthwise convolution as a module."""

from __future__ import annotations

from torch import Tensor, nn

from supernet.ops.depthwise_convolution import depthwise_convolution


class DepthwiseConvolution(nn.Module):
    """One odd kernel (channels, 1, *kernel) and one bias for each channel, with zeros around the image.

    What a folded large kernel is. `nn.Conv2d` would spend time on taps that meet only padding.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, *spatial) -> the same."""
        return depthwise_convolution(x, self.weight, self.bias)

"""Depthwise convolution."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from supernet.ops.convolution import depthwise


class Depthwise(nn.Module):
    """A k x k convolution of every channel on its own.

    Use: first: the cheapest mixer that sees a neighbourhood, on every device.

    Source: Liu et al., "A ConvNet for the 2020s" (ConvNeXt), CVPR 2022, section 2.5.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"kernel_size": (3, 5, 7, 9, 11, 13, 15)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, kernel_size: int = 7) -> None:
        super().__init__()
        self.convolution = depthwise(width, (kernel_size,) * ndim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        return self.convolution(x)

"""Inception depthwise convolution: square, band and identity branches."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.ops.convolution import depthwise

GROUP = 8
"""Channel i belongs to branch i mod GROUP at every width."""

SQUARE = 3


class InceptionDepthwise(nn.Module):
    """Of every 8 channels some pass a small square kernel, some a long band along one axis, the rest pass unchanged.

    The branches stand in the order square, band along the first axis, band along the next, ..., and then over again
    when `branch_ratio` gives each branch a second channel of the 8. The paper splits the channels into contiguous
    runs; here they are interleaved, so that a channel stays in its branch when the width changes. Where 8 does not
    divide the width, the last filter of some branches has no channel.

    Use: where depthwise convolutions with large kernels are slow: bands reach as far for less.

    Source: Yu et al., "InceptionNeXt: When Inception Meets ConvNeXt", CVPR 2024, section 3.2.
    """

    choices: ClassVar[dict[str, tuple[float, ...]]] = {
        "band_size": (5, 7, 9, 11, 13, 15),
        "branch_ratio": (0.125, 0.25),
    }
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, band_size: int = 11, branch_ratio: float = 0.125) -> None:
        super().__init__()
        groups = -(-width // GROUP)
        square = (SQUARE,) * ndim
        bands = [tuple(band_size if axis == band else 1 for axis in range(ndim)) for band in range(ndim)]
        kernels = [square, *bands] * int(branch_ratio * GROUP)
        self.branches = nn.ModuleList(depthwise(groups, kernel) for kernel in kernels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        width = x.shape[1]
        x = x.movedim(1, -1)
        if width % GROUP:
            x = F.pad(x, (0, -width % GROUP))
        x = x.unflatten(-1, (-1, GROUP))
        convolved = [
            branch(x[..., i].movedim(-1, 1)).movedim(1, -1).unsqueeze(-1) for i, branch in enumerate(self.branches)
        ]
        x = torch.cat([*convolved, x[..., len(convolved) :]], dim=-1)
        return x.flatten(-2)[..., :width].movedim(-1, 1)

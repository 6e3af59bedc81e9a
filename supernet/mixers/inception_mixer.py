"""Inception mixer: a convolution, a maximum and attention, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.ops.attention import HEAD_DIM, rotary_attention
from supernet.ops.convolution import FUNCTIONS
from supernet.ops.linear import scaled, scaled_weight
from supernet.ops.windows import Windows

MAXIMA: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
GROUP = 8
"""The path of channel i follows from i mod GROUP at every width."""

KERNEL_SIZE = 3
MAX_SHARE = 3
"""Channels of GROUP in either high-frequency path at the smallest `low_ratio`."""


class InceptionMixer(nn.Module):
    """Of every 8 channels the first `low_ratio` pass attention, the others in turn a maximum and a convolution.

    The low frequencies: attention between the means of cells of `pool_size` positions along each axis; every position
    receives the output of its cell. The high frequencies: a maximum of 3 x 3 positions and a linear map; a linear map
    and a 3 x 3 depthwise convolution; a GELU after both. All paths side by side, plus a 3 x 3 depthwise convolution of
    themselves, pass a last linear map.

    The paper's channels lie in contiguous runs; here they are interleaved, so that a channel stays in its path when the
    width changes. Where 8 does not divide the width, the channels that lack count as 0. High frequencies keep their
    number of channels as in the paper's equations; its public code doubles it, and has the GELU. The attention is the
    one of `attention`: heads of 16 channels, as many as the low frequencies fill. The high-frequency paths have the
    weights of the smallest `low_ratio`, of which a higher one leaves a part unread.

    Use: where edges and textures matter as much as context; a rising `low_ratio` from early to late stages.

    Source: Si et al., "Inception Transformer", NeurIPS 2022, section 3.1, equations 1 to 8.
    """

    choices: ClassVar[dict[str, tuple[int, ...] | tuple[float, ...]]] = {
        "low_ratio": (0.25, 0.5, 0.75),
        "pool_size": (1, 2, 4),
    }
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, low_ratio: float = 0.5, pool_size: int = 2) -> None:
        super().__init__()
        self.pool_size = pool_size
        groups, kernel = -(-width // GROUP), (KERNEL_SIZE,) * ndim
        low = int(low_ratio * GROUP)
        self.share = (GROUP - low) // 2
        num_heads = -(-groups * low // HEAD_DIM)
        # The last axis of `qkv` runs from a group's first channel up, that of `high` from its last channel down: so a
        # smaller share of either is a prefix.
        self.qkv = scaled_weight(3, num_heads, HEAD_DIM, groups, low)
        self.high = scaled_weight(2, groups, MAX_SHARE, groups, MAX_SHARE)
        with torch.no_grad():
            self.high[0].mul_(0.5)  # the maximum of 9 unit normals has a mean of 1.5
        self.high_bias = nn.Parameter(torch.zeros(2, groups, MAX_SHARE))
        self.kernel = nn.Parameter(torch.empty(groups, MAX_SHARE, *kernel).normal_(std=KERNEL_SIZE ** (-ndim / 2)))
        self.fuse_low = nn.Parameter(torch.empty(num_heads, HEAD_DIM, *kernel).normal_(std=KERNEL_SIZE ** (-ndim / 2)))
        self.fuse_high = nn.Parameter(
            torch.empty(2, groups, MAX_SHARE, *kernel).normal_(std=KERNEL_SIZE ** (-ndim / 2))
        )
        self.output_low = scaled_weight(width, num_heads, HEAD_DIM)
        self.output_high = scaled_weight(width, 2, groups, MAX_SHARE)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        width, low = x.shape[1], self.qkv.shape[-1]
        x = x.movedim(1, -1)
        if width % GROUP:
            x = F.pad(x, (0, -width % GROUP))
        x = x.unflatten(-1, (-1, GROUP))
        paths = torch.cat([self._low(x[..., :low].flatten(-2)), *self._high(x[..., low:])], dim=-1)
        kernel = torch.cat([self.fuse_low.flatten(0, 1), self.fuse_high[:, :, : self.share].flatten(0, 2)])
        output = torch.cat([self.output_low.flatten(1), self.output_high[..., : self.share].flatten(1)], dim=1)
        fused = paths + _convolve(paths, kernel)
        return F.linear(fused, scaled(output, fused.shape[-1]), self.bias).movedim(-1, 1)

    def _low(self, x: Tensor) -> Tensor:
        """(batch, *spatial, low channels) -> (batch, *spatial, channels of all heads)."""
        spatial = x.shape[1:-1]
        cells = Windows(spatial, self.pool_size)
        count = cells.split(x.new_ones(1, *spatial, 1)).sum(dim=2)
        means = cells.split(x).sum(dim=2) / count
        qkv = F.linear(means, scaled(self.qkv.flatten(3).flatten(0, 2), means.shape[-1]))
        mixed = rotary_attention(qkv.unflatten(-1, self.qkv.shape[:3]), cells.counts)
        return cells.join(mixed.unsqueeze(2).expand(-1, -1, math.prod(cells.sizes), -1))

    def _high(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, *spatial, groups, high channels of a group) -> (batch, *spatial, channels) of either path."""
        share = self.share
        maxed, convolved = (path.flatten(-2) for path in x.unflatten(-1, (share, 2)).unbind(-1))
        maximum = MAXIMA[x.dim() - 3]
        maxed = maximum(maxed.movedim(-1, 1), KERNEL_SIZE, stride=1, padding=KERNEL_SIZE // 2).movedim(1, -1)
        weights = self.high[:, :, :share, :, :share].flip(-1).flatten(3).flatten(1, 2)
        to_max, to_convolved = scaled(weights, maxed.shape[-1])
        maxed_bias, convolved_bias = self.high_bias[:, :, :share].flatten(1)
        maxed = F.linear(maxed, to_max, maxed_bias)
        convolved = _convolve(F.linear(convolved, to_convolved), self.kernel[:, :share].flatten(0, 1), convolved_bias)
        return F.gelu(maxed), F.gelu(convolved)


def _convolve(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """A depthwise convolution of images (batch, *spatial, channels), kernels (channels, *size) -> the same."""
    function = FUNCTIONS[x.dim() - 2]
    out = function(x.movedim(-1, 1), kernel.unsqueeze(1), bias, padding=KERNEL_SIZE // 2, groups=len(kernel))
    return out.movedim(1, -1)

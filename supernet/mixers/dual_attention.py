"""Dual attention: between positions inside windows, then between channels inside groups."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.norms.layer import LayerNorm
from supernet.ops.attention import MAX_LOG_SCALE, PartitionAttention
from supernet.ops.linear import Linear, scaled, scaled_weight
from supernet.ops.windows import Windows


class DualAttention(nn.Module):
    """Attention between the positions of a window, then between the channels of a group, over the whole image.

    Channel attention reads the normalised sum of input and window attention, and the output is the sum of both
    attentions; with the residual around the mixer these are the paper's two residual sub-blocks, without their FFNs.
    A channel is a token whose features are its values at all positions: each becomes a mean of its group, weighted by
    similarity. Channel i belongs to group i // `group_size` at every width, so the last group may be smaller.

    Products of two channels are means over positions times a learned scale, where the paper has sums over positions
    divided by a constant, so that the size of the image does not sharpen the softmax. Window attention is that of
    `window_attention`, whose position bias stands in for the paper's convolutional position encoding.

    Use: where context of the whole image should come at a cost that grows only with its positions.

    Source: Ding et al., "DaViT: Dual Attention Vision Transformers", ECCV 2022, section 3, equations 2 and 3; Liu et
    al., "Swin Transformer V2", CVPR 2022, equations 2 to 4 (window attention).
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {
        "window": (2, 3, 4, 5, 6, 7, 8, 12, 14, 16),
        "num_heads": (1, 2, 3, 4, 6, 8),
        "group_size": (8, 16, 32),
    }
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, window: int = 7, num_heads: int = 2, group_size: int = 16) -> None:
        super().__init__()
        self.window = window
        self.positions = PartitionAttention(width, ndim=ndim, num_heads=num_heads)
        self.norm = LayerNorm(width, ndim=ndim)
        self.channels = _ChannelAttention(width, group_size)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        local = self.positions(x, Windows(x.shape[2:], self.window))
        return local + self.channels(self.norm(x + local))


class _ChannelAttention(nn.Module):
    """Attention between the channels of a group. Shapes: B batch, N positions, C width, G groups, S their size.

    Queries and keys meet in C x C products of each image with itself, and values in C x C mixtures of channels, so that
    no query, key or value of size N is ever written.
    """

    def __init__(self, width: int, group_size: int) -> None:
        super().__init__()
        self.group_size = group_size
        self.qkv = scaled_weight(3, width, width)
        self.log_scale = nn.Parameter(torch.full((width,), math.log(10)))
        self.output = Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        width, missing = x.shape[1], -x.shape[1] % self.group_size
        tokens = x.movedim(1, -1).flatten(1, -2)  # (B, N, C)
        query, key, value = F.pad(scaled(self.qkv, width), (0, 0, 0, missing))
        if tokens.shape[1] > width:
            queries, keys = F.linear(tokens.transpose(1, 2) @ tokens, query), key.T[None]
        else:
            queries, keys = F.linear(tokens, query), F.linear(tokens, key)
        scale = F.pad(self.log_scale, (0, missing)).clamp(max=MAX_LOG_SCALE).exp() / tokens.shape[1]
        queries, keys = (each.unflatten(-1, (-1, self.group_size)).transpose(1, 2) for each in (queries * scale, keys))
        logits = queries.transpose(2, 3) @ keys  # (B, G, S, S)
        if missing:
            present = torch.arange(width + missing, device=x.device).view(-1, 1, self.group_size) < width
            logits = logits.masked_fill(~present, -math.inf)
        mixture = (logits.softmax(dim=-1) @ value.unflatten(0, (-1, self.group_size))).flatten(1, 2)[:, :width]
        return self.output(tokens @ mixture.transpose(1, 2)).unflatten(1, x.shape[2:]).movedim(-1, 1)

"""Attention inside the windows of a partition.

Shapes: B batch, M windows, N positions of a window, H heads, D head_dim.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.ops.attention.rotary import HEAD_DIM
from supernet.ops.linear import Linear, scaled, scaled_weight
from supernet.ops.windows import Partition

BIAS_HIDDEN = 64
MAX_LOG_SCALE = math.log(100)


class PartitionAttention(nn.Module):
    """Cosine attention inside windows, with a bias that a small MLP computes from the log-spaced relative position.

    The bias is a function of the distance in positions alone, as in equation 4 of the paper, so a distance means the
    same in every window size.

    Source: Liu et al., "Swin Transformer V2", CVPR 2022, equations 2 to 4. The MLP has 64 hidden units instead of 512,
    in proportion to the widths used here.
    """

    def __init__(self, width: int, *, ndim: int, num_heads: int) -> None:
        super().__init__()
        self.qkv = scaled_weight(3, num_heads, HEAD_DIM, width)
        self.q_bias = nn.Parameter(torch.zeros(num_heads, HEAD_DIM))
        self.v_bias = nn.Parameter(torch.zeros(num_heads, HEAD_DIM))
        self.log_scale = nn.Parameter(torch.full((num_heads,), math.log(10)))
        self.position = Linear(ndim, BIAS_HIDDEN)
        self.position_heads = scaled_weight(num_heads, BIAS_HIDDEN)
        self.output = scaled_weight(width, num_heads, HEAD_DIM)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, partition: Partition) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        weight = scaled(self.qkv.flatten(0, 2), x.shape[1])
        bias = torch.stack([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias]).flatten()
        qkv = partition.split(F.linear(x.movedim(1, -1), weight, bias)).unflatten(-1, self.qkv.shape[:3])
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5).contiguous()  # (B, M, H, N, D) each
        scale = self.log_scale.clamp(max=MAX_LOG_SCALE).exp()[:, None, None]
        logits = (_unit(q) * scale) @ _unit(k).transpose(-2, -1) + self._position_bias(partition)
        mixed = partition.join((logits.softmax(dim=-1) @ v).transpose(2, 3).flatten(-2))  # (B, *spatial, H D)
        return F.linear(mixed, scaled(self.output.flatten(1), mixed.shape[-1]), self.bias).movedim(-1, 1)

    def _position_bias(self, partition: Partition) -> Tensor:
        """(M or 1, H, N, N): from 0 to 16, minus infinity between positions that share no window."""
        distance = _distances(partition.sizes, self.bias)
        hidden = self.position(distance.sign() * (distance.abs() + 1).log2() / 3).relu()
        bias = 16 * F.linear(hidden, scaled(self.position_heads, BIAS_HIDDEN)).sigmoid().permute(2, 0, 1)
        mask = partition.mask(bias.device)
        return bias[None] if mask is None else bias.masked_fill(~mask[:, None], -math.inf)


def _distances(sizes: Sequence[int], like: Tensor) -> Tensor:
    """(N, N, ndim): the positions between each two of a window, along each axis."""
    axes = [torch.arange(size, dtype=like.dtype, device=like.device) for size in sizes]
    grid = torch.cartesian_prod(*axes).reshape(-1, len(sizes))
    return grid[:, None] - grid


def _unit(x: Tensor) -> Tensor:
    """Vectors of the last axis at length 1; a reciprocal square root is cheaper than the division in `F.normalize`."""
    return x * x.square().sum(dim=-1, keepdim=True).clamp(min=1e-12).rsqrt()

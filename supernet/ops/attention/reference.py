"""Cosine attention inside windows as its equations say, one head and one window after the other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.ops.attention.partition import PartitionAttention
from supernet.ops.linear import REFERENCE_FAN_IN
from supernet.ops.windows.reference import Window, attention


def partition_attention(x: Tensor, layer: PartitionAttention, parts: Sequence[Window]) -> Tensor:
    """What `layer` computes when these windows are the partition: (batch, width, *spatial) -> the same."""
    num_heads, head_dim, width = layer.qkv.shape[1:]

    def project(weight: Tensor) -> Tensor:
        return torch.einsum("bc...,hdc->bh...d", x, weight) * _scale(width)

    def place(bias: Tensor) -> Tensor:
        return bias.view(num_heads, *[1] * (x.dim() - 2), head_dim)

    def position_bias(sizes: Sequence[int]) -> Tensor:
        positions = torch.tensor(list(itertools.product(*map(range, sizes))), dtype=x.dtype)
        distance = positions[:, None] - positions
        coordinates = distance.sign() * (1 + distance.abs()).log() / math.log(8)
        hidden = (coordinates @ layer.position.weight.T * _scale(len(sizes)) + layer.position.bias).relu()
        logits = hidden @ layer.position_heads.T * _scale(hidden.shape[-1])
        return (16 / (1 + (-logits).exp())).permute(2, 0, 1)

    q, k, v = map(project, layer.qkv)
    tau = layer.log_scale.exp().clamp(max=100).view(num_heads, *[1] * (x.dim() - 1))
    q, k, v = tau * F.normalize(q + place(layer.q_bias), dim=-1), F.normalize(k, dim=-1), v + place(layer.v_bias)
    out = torch.einsum("bh...d,chd->b...c", attention(q, k, v, position_bias, parts), layer.output)
    return (out * _scale(num_heads * head_dim) + layer.bias).movedim(-1, 1)


def _scale(fan_in: int) -> float:
    return math.sqrt(REFERENCE_FAN_IN / fan_in)

"""Attention between all positions. Shapes: B batch, N positions, H heads, D head_dim."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from supernet.ops.rotary import rotary_angles, rotate

HEAD_DIM = 16


def rotary_attention(qkv: Tensor, spatial: Sequence[int]) -> Tensor:
    """Softmax attention with layer-normalised queries and keys and rotary position: (B, N, 3, H, D) -> (B, N, H D)."""
    q, k, v = qkv.unbind(2)
    head_dim = qkv.shape[-1]
    angles = rotary_angles(spatial, head_dim, qkv.device)[:, None]
    q, k = (rotate(F.layer_norm(each, (head_dim,)), angles) for each in (q, k))
    mixed = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
    return mixed.transpose(1, 2).flatten(2)

"""Multi-head attention over all positions."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.ops.attention import HEAD_DIM, rotary_attention
from supernet.ops.linear import scaled, scaled_weight


class Attention(nn.Module):
    """Softmax attention between all positions, with normalised queries and keys and rotary position on every axis.

    Heads have 16 channels at every width and vary in number. Queries and keys are layer-normalised without
    parameters, so that logits stay bounded whatever the weights.

    Use: for images of few positions, where every position may matter to every other.

    Source: Wang et al., "FiTv2: Scalable and Improved Flexible Vision Transformer for Diffusion Model", 2024 (QK-norm
    and 2-D rotary position); Heo et al., "Rotary Position Embedding for Vision Transformer", ECCV 2024, section 3
    (axial frequencies with base 100).
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"num_heads": (1, 2, 3, 4, 6, 8)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, num_heads: int = 2) -> None:
        super().__init__()
        self.qkv = scaled_weight(3, num_heads, HEAD_DIM, width)
        self.output = scaled_weight(width, num_heads, HEAD_DIM)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        width, spatial = x.shape[1], x.shape[2:]
        qkv = F.linear(x.flatten(2).transpose(1, 2), scaled(self.qkv.flatten(0, 2), width))
        mixed = rotary_attention(qkv.unflatten(-1, self.qkv.shape[:3]), spatial)
        out = F.linear(mixed, scaled(self.output.flatten(1), mixed.shape[2]), self.bias)
        return out.transpose(1, 2).unflatten(2, spatial)

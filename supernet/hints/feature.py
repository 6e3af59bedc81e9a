"""Features across mixers: a cross-attention projector brings the pupil's features to the teacher's places and width."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.hints.positions import cosines, tokens
from supernet.ops.attention import HEAD_DIM
from supernet.ops.linear import Linear, scaled, scaled_weight

NUM_COSINES = 8
"""Of each axis, in the code of a place."""

WITHOUT_MEAN = 0.75
"""What the second view counts beside the first: .06 to .08 in the public configurations."""

SHORTEST = 1e-3
"""Features of less length are not brought to length 1: a view without its mean may be nothing but rounding errors."""


class CrossAttentionProjector(nn.Module):
    """(batch, pupil_width, *spatial) -> (batch, teacher_width, *size), whatever both sizes are.

    A query for each of the teacher's positions gathers from all of the pupil's. Queries are learned, as a linear map of
    their place's code, so that their number is free.
    """

    def __init__(self, pupil_width: int, teacher_width: int, num_axes: int) -> None:
        super().__init__()
        num_heads = -(-teacher_width // HEAD_DIM)
        self.place = Linear(num_axes * NUM_COSINES, pupil_width)
        self.query = scaled_weight(num_heads, HEAD_DIM, num_axes * NUM_COSINES)
        self.key_value = scaled_weight(2, num_heads, HEAD_DIM, pupil_width)
        self.output = scaled_weight(teacher_width, num_heads, HEAD_DIM)
        self.bias = nn.Parameter(torch.zeros(teacher_width))

    def forward(self, pupil: Tensor, size: Sequence[int]) -> Tensor:
        batch, width = pupil.shape[:2]
        own, wanted = (cosines(grid, NUM_COSINES, pupil) for grid in (pupil.shape[2:], size))
        x = tokens(pupil) + self.place(own)
        keys, values = torch.einsum("bnw,khdw->kbhnd", x, scaled(self.key_value, width))
        queries = torch.einsum("nc,hdc->hnd", wanted, scaled(self.query, wanted.shape[1]))
        gathered = F.scaled_dot_product_attention(queries.expand(batch, -1, -1, -1), keys, values)
        inner = self.output.shape[1] * HEAD_DIM
        projected = torch.einsum("bhnd,whd->bwn", gathered, scaled(self.output, inner)) + self.bias[:, None]
        return projected.unflatten(2, tuple(size))


class FeatureMimicking(nn.Module):
    """The distance of projected from shown features in two views, each with a projector of its own: as they are, and
    without their mean over positions, which drowns what is particular to a place. 0 to 4, and to 4 * `WITHOUT_MEAN`.

    Source: Fan et al., "ScaleKD: Strong Vision Transformers Could Be Excellent Teachers", NeurIPS 2024 (cross
    attention projector and dual-view feature mimicking), and its public code. There, the second view goes
    through a cosine transform, loses its zero frequency and comes back: that is the mean over positions, so no
    transform is needed. Simpler here: the projector has layer norm in the place of a convolution and batch norm, and no
    FFN, which would outweigh pupils as small as these; distances are means over positions, not sums, so that a weight
    means the same for every size. Left out is teacher parameter perception: the pupil's features would go
    through the teacher's last stage, one more pass through the largest network for each pupil.
    """

    def __init__(self, pupil_width: int, teacher_width: int, size: Sequence[int]) -> None:
        super().__init__()
        self.whole = CrossAttentionProjector(pupil_width, teacher_width, len(size))
        self.without_mean = CrossAttentionProjector(pupil_width, teacher_width, len(size))

    def forward(self, pupil: Tensor, teacher: Tensor) -> Tensor:
        """Features (batch, width, *spatial) of both -> (), the mean over batch and positions."""
        size = teacher.shape[2:]
        without_mean = _distance(_without_mean(self.without_mean(pupil, size)), _without_mean(teacher))
        return _distance(self.whole(pupil, size), teacher) + WITHOUT_MEAN * without_mean


def _without_mean(x: Tensor) -> Tensor:
    return x - x.mean(dim=tuple(range(2, x.dim())), keepdim=True)


def _distance(x: Tensor, y: Tensor) -> Tensor:
    """Of the directions of each position's channels, squared."""
    return (F.normalize(x, dim=1, eps=SHORTEST) - F.normalize(y, dim=1, eps=SHORTEST)).square().sum(dim=1).mean()

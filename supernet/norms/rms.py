"""Root-mean-square normalisation over channels."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RmsNorm(nn.Module):
    """Each position's channels to root mean square 1, then a learned factor per channel.

    Use: as layer norm, a little faster, where the mean of the channels carries nothing.

    Source: Zhang & Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019, equation 4.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        return F.rms_norm(x.movedim(1, -1), self.weight.shape, self.weight, eps=1e-6).movedim(-1, 1)

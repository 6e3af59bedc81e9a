"""A learned factor for each channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Scale(nn.Module):
    """Each channel times a factor of its own.

    Source: Touvron et al., "Going deeper with Image Transformers" (LayerScale), ICCV 2021, equation 4; started at 1,
    not near 0, because the networks here are shallow and their training short.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        return x * self.weight.view(-1, *[1] * (x.dim() - 2))

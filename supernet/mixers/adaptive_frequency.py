"""Adaptive frequency filter."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.ops.fourier import dft, inverse_dft
from supernet.ops.linear import scaled, scaled_weight
from supernet.ops.precision import promoted, without_autocast

GROUP = 8
"""Channels that share one block of the mask's two layers, at every width."""


class AdaptiveFrequency(nn.Module):
    """x + F^-1[M(F x) * F x]: a filter over all positions whose frequency response M depends on the content.

    M is two complex linear layers over groups of 8 channels, with a ReLU of the real and the imaginary part between
    them. Frequencies of `modes` or more periods per axis are not filtered but passed on by x; with more modes than
    half the size of the image every frequency is filtered, as in the paper. The term x is in the public code, not in
    the equation. Computed in float32 at least, because a coefficient sums over the whole image.

    Use: for mixing over the whole image when which frequencies are worth keeping depends on the image.

    Source: Huang et al., "Adaptive Frequency Filters As Efficient Global Token Mixers" (AFFNet), ICCV 2023,
    section 3 (AFF token mixer).
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"modes": (2, 3, 4, 6, 8, 12, 16)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, modes: int = 8) -> None:
        super().__init__()
        self.modes = modes
        groups = -(-width // GROUP)
        self.first = scaled_weight(2, groups, GROUP, GROUP)
        self.first_bias = nn.Parameter(torch.zeros(2, groups, GROUP))
        self.second = scaled_weight(2, groups, GROUP, GROUP)
        self.second_bias = nn.Parameter(torch.zeros(2, groups, GROUP))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        width, spatial = x.shape[1], x.shape[2:]
        with without_autocast(x):
            image = promoted(x.movedim(1, -1))
            if width % GROUP:
                image = F.pad(image, (0, -width % GROUP))
            spectrum = dft(image, self.modes)
            hidden = _complex_groups(spectrum, promoted(self.first), promoted(self.first_bias)).relu()
            mask = _complex_groups(hidden, promoted(self.second), promoted(self.second_bias))
            (a, b), (c, d) = mask.unbind(1), spectrum.unbind(1)
            product = torch.stack([a * c - b * d, a * d + b * c], dim=1)
            filtered = inverse_dft(product, spatial, self.modes)[..., :width]
        return x + filtered.to(x.dtype).movedim(-1, 1)


def _complex_groups(z: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A complex linear map of each group of channels: z (batch, 2, *, groups x 8) -> the same.

    weight: (2, groups, 8 outputs, 8 inputs), bias: (2, groups, 8); real part, then imaginary part.
    """
    real, imaginary = scaled(weight, 2 * GROUP)
    rows = torch.stack([torch.stack([real, -imaginary]), torch.stack([imaginary, real])])
    grouped = z.unflatten(-1, (-1, GROUP))
    mixed = torch.einsum("pqgoi,bq...gi->bp...go", rows, grouped)
    return (mixed + bias.view(2, *[1] * (z.dim() - 3), -1, GROUP)).flatten(-2)

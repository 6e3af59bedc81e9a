"""Adaptive frequency filter."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.ops.fourier import dft, frequencies, inverse_dft
from supernet.ops.linear import scaled, scaled_weight
from supernet.ops.precision import promoted, without_autocast

GROUP = 8
"""Channels that share one block of the mask's two layers, at every width."""


class AdaptiveFrequency(nn.Module):
    """F^-1[M(F x) * F x]: a filter over all positions whose frequency response M depends on the content.

    M is two complex linear layers over groups of 8 channels, with a ReLU of the real and the imaginary part between
    them. Frequencies of `modes` or more periods per axis are left to the residual branch around the mixer; with more
    modes than half the size of the image every frequency is filtered, as in the paper. Computed in float32 at least,
    because a coefficient sums over the whole image.

    Two differences, without which a network of this mixer and plain MLPs falls behind one that averages neighbours (in
    the paper's block the FFN sees neighbours). M sees coefficients at unit scale within a group, since those of low
    frequencies are far larger than the others. And its first layer adds a term for the frequency itself, linear in
    cos and sin of its phase from one position to the next; without it M could not tell one frequency from another
    except by content.

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
        self.place = nn.Parameter(torch.empty(2, groups, GROUP, ndim, 2).normal_(std=ndim**-0.5))
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
            hidden = _complex_groups(_unit(spectrum), promoted(self.first), promoted(self.first_bias))
            hidden = (hidden + self._places(spatial, spectrum)).relu()
            mask = _complex_groups(hidden, promoted(self.second), promoted(self.second_bias))
            (a, b), (c, d) = mask.unbind(1), spectrum.unbind(1)
            product = torch.stack([a * c - b * d, a * d + b * c], dim=1)
            filtered = inverse_dft(product, spatial, self.modes)[..., :width]
        return filtered.to(x.dtype).movedim(-1, 1)

    def _places(self, spatial: Sequence[int], spectrum: Tensor) -> Tensor:
        """A term for every kept frequency and hidden unit: (2, *kept, groups x 8)."""
        phases = []
        for axis, size in enumerate(spatial):
            kept = frequencies(size, self.modes, half=axis == len(spatial) - 1)
            angle = torch.tensor(kept, device=spectrum.device, dtype=spectrum.dtype) * (2 * math.pi / size)
            shape = [1] * axis + [len(kept)] + [1] * (len(spatial) - 1 - axis)
            phases.append(torch.stack([angle.cos(), angle.sin()], dim=-1).view(*shape, 2))
        terms = [
            F.linear(phase, promoted(self.place[..., axis, :]).flatten(0, 2)).unflatten(-1, (2, -1))
            for axis, phase in enumerate(phases)
        ]
        return functools.reduce(torch.add, terms).movedim(-2, 0)


def _unit(z: Tensor) -> Tensor:
    """Each frequency's coefficients at a mean square of 1 over the real and imaginary parts of a group of channels."""
    grouped = z.unflatten(-1, (-1, GROUP))
    power = grouped.square().mean(dim=(1, -1), keepdim=True)
    return (grouped * power.clamp(min=1e-6).rsqrt()).flatten(-2)


def _complex_groups(z: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A complex linear map of each group of channels: z (batch, 2, *, groups x 8) -> the same.

    weight: (2, groups, 8 outputs, 8 inputs), bias: (2, groups, 8); real part, then imaginary part.
    """
    real, imaginary = scaled(weight, 2 * GROUP)
    rows = torch.stack([torch.stack([real, -imaginary]), torch.stack([imaginary, real])])
    grouped = z.unflatten(-1, (-1, GROUP))
    mixed = torch.einsum("pqgoi,bq...gi->bp...go", rows, grouped)
    return (mixed + bias.view(2, *[1] * (z.dim() - 3), -1, GROUP)).flatten(-2)

"""The adaptive frequency filter against complex arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from supernet.mixers.adaptive_frequency import AdaptiveFrequency
from supernet.ops.linear import REFERENCE_FAN_IN


def _low(spectrum: Tensor, spatial: tuple[int, ...], modes: int) -> Tensor:
    """Which coefficients of torch.fft.rfftn are below `modes` in every axis: (*frequencies, 1)."""
    kept = torch.ones(())
    for axis, size in enumerate(spatial):
        fft = torch.fft.rfftfreq if axis == len(spatial) - 1 else torch.fft.fftfreq
        kept = kept[..., None] * ((fft(size) * size).abs().round() < modes)
    return kept[..., None]


def _places(module: AdaptiveFrequency, spatial: tuple[int, ...]) -> Tensor:
    """What the mask's first layer adds at each frequency of torch.fft.rfftn: complex (*frequencies, groups x 8)."""
    weight = torch.complex(*module.place.unbind()).flatten(0, 1)  # (units, axes, cos and sin)
    total = torch.zeros(())
    for axis, size in enumerate(spatial):
        angle = (
            2
            * torch.pi
            * (torch.fft.rfftfreq if axis == len(spatial) - 1 else torch.fft.fftfreq)(size, dtype=torch.float64)
        )
        along = angle.cos()[:, None] * weight[:, axis, 0] + angle.sin()[:, None] * weight[:, axis, 1]
        total = total + along.view(*(-1 if a == axis else 1 for a in range(len(spatial))), len(weight))
    return total


@pytest.mark.parametrize("spatial", [(7,), (8,), (5, 6), (6, 4), (4, 3, 5)])
@pytest.mark.parametrize("modes", [2, 16])
@pytest.mark.parametrize("width", [16, 13])
def test_the_filter_is_a_product_in_the_fourier_domain(
    spatial: tuple[int, ...], modes: int, width: int, assert_same: Callable[..., None]
) -> None:
    module = AdaptiveFrequency(width, ndim=len(spatial), modes=modes)
    with torch.no_grad():
        module.first_bias.normal_()
        module.second_bias.normal_()
    axes = tuple(range(1, 1 + len(spatial)))
    scale = (REFERENCE_FAN_IN / 16) ** 0.5

    def layer(z: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        blocks = torch.block_diag(*torch.complex(*weight.unbind()))
        return z @ blocks.T * scale + torch.complex(*bias.unbind()).flatten()

    def reference(x: Tensor) -> Tensor:
        missing = -width % 8
        image = torch.cat([x, x.new_zeros(len(x), missing, *spatial)], dim=1).movedim(1, -1)
        spectrum = torch.fft.rfftn(image, dim=axes, norm="ortho")
        grouped = spectrum.unflatten(-1, (-1, 8))
        power = grouped.abs().square().mean(dim=-1, keepdim=True) / 2
        hidden = layer((grouped / power.clamp(min=1e-6).sqrt()).flatten(-2), module.first, module.first_bias)
        hidden = hidden + _places(module, spatial)
        mask = layer(torch.complex(hidden.real.relu(), hidden.imag.relu()), module.second, module.second_bias)
        filtered = mask * spectrum * _low(spectrum, spatial, modes)
        out = torch.fft.irfftn(filtered, s=spatial, dim=axes, norm="ortho")
        return out[..., :width].movedim(-1, 1)

    assert_same(module, reference, torch.randn(2, width, *spatial))

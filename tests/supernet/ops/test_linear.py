"""The scaled linear map."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from supernet.ops.linear import REFERENCE_FAN_IN, Linear


def test_a_linear_map_of_the_reference_fan_in_is_an_ordinary_one() -> None:
    layer, x = Linear(REFERENCE_FAN_IN, 5), torch.randn(3, REFERENCE_FAN_IN)
    assert torch.equal(layer(x), F.linear(x, layer.weight, layer.bias))


@pytest.mark.parametrize("fan_in", [4, 16, 64, 256])
def test_a_slice_of_a_linear_map_keeps_unit_variance(fan_in: int) -> None:
    generator = torch.Generator().manual_seed(0)
    full, small = Linear(256, 512), Linear(fan_in, 512)
    with torch.no_grad():
        full.weight.normal_(std=REFERENCE_FAN_IN**-0.5, generator=generator)
        small.weight.copy_(full.weight[:, :fan_in])
    assert small(torch.randn(64, fan_in, generator=generator)).std().item() == pytest.approx(1, rel=0.1)

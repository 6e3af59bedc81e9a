"""The depthwise convolution against the sum over its taps, in values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from supernet.ops.depthwise_convolution import crop, depthwise_convolution, reference

SHAPES = [  # spatial, kernel: smaller than the image, larger along some axes, much larger
    ((9,), (5,)),
    ((4,), (13,)),
    ((7, 5), (3, 7)),
    ((3, 8), (9, 5)),
    ((1, 4), (7, 7)),
    ((5, 4, 3), (3, 5, 3)),
    ((2, 3, 5), (7, 3, 5)),
]


def _inputs(spatial: tuple[int, ...], kernel: tuple[int, ...], dtype: torch.dtype) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 3, *spatial), (3, 1, *kernel), (3,)]
    return [torch.randn(s, generator=generator, dtype=torch.double).to(dtype).requires_grad_() for s in shapes]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize(("spatial", "kernel"), SHAPES)
def test_it_is_the_sum_over_the_taps(
    spatial: tuple[int, ...], kernel: tuple[int, ...], dtype: torch.dtype, tolerance: float, channels_last: bool
) -> None:
    inputs = _inputs(spatial, kernel, dtype)
    x, weight, bias = inputs
    if channels_last:
        x = x.movedim(1, -1).contiguous().movedim(-1, 1)
    out, expected = depthwise_convolution(x, weight, bias), reference.depthwise_convolution(inputs[0], weight, bias)
    torch.testing.assert_close(out, expected, rtol=tolerance, atol=tolerance)
    direction = torch.randn(out.shape, dtype=dtype, generator=torch.Generator().manual_seed(1))
    ours, theirs = (torch.autograd.grad(each, inputs, direction) for each in (out, expected))
    torch.testing.assert_close(ours, theirs, rtol=10 * tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("spatial", [(1,), (4,), (6, 3), (2, 5, 3)])
def test_cropped_taps_never_meet_the_image(spatial: tuple[int, ...], dilation: int) -> None:
    x, weight, bias = _inputs(spatial, (11,) * len(spatial), torch.float64)
    cropped = crop(weight, spatial, dilation)
    assert cropped.shape[2:] == tuple(2 * ((size - 1) // dilation) + 1 for size in spatial)
    ours = reference.depthwise_convolution(x, cropped, bias, dilation)
    assert torch.equal(ours, reference.depthwise_convolution(x, weight, bias, dilation))


def test_autocast_computes_in_the_lower_precision() -> None:
    x, weight, bias = _inputs((5, 4), (3, 3), torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        out = depthwise_convolution(x, weight, bias)
    out.float().sum().backward()
    assert out.dtype == torch.bfloat16
    assert x.grad is not None and x.grad.dtype == torch.float32
    torch.testing.assert_close(out.float(), depthwise_convolution(x, weight, bias), rtol=0.05, atol=0.05)

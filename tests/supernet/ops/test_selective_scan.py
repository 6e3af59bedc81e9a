"""The selective scan in chunks against the loop over time, and what the recurrence implies."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from supernet.ops.selective_scan import reference, scan, selective_scan


def _inputs(batch: int, length: int, channels: int, states: int, dtype: torch.dtype = torch.double) -> list[Tensor]:
    """x, delta, A, B, C, D; delta of both signs, for its softplus."""
    generator = torch.Generator().manual_seed(length)
    shapes = [(batch, length, channels)] * 2 + [(channels, states)] + [(batch, length, states)] * 2 + [(channels,)]
    inputs = [torch.randn(shape, generator=generator, dtype=torch.double).to(dtype) for shape in shapes]
    inputs[2] = -inputs[2].exp()
    return [each.requires_grad_() for each in inputs]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("states", [1, 3])
@pytest.mark.parametrize("length", [1, 2, 3, 7, 16, 23, 37, 49])
def test_chunks_give_what_the_loop_gives(
    length: int, states: int, reverse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "BLOCK", 2 * length * 5)  # parts of 3 and 2 images
    inputs = _inputs(5, length, 5, states)
    out = selective_scan(*inputs, delta_softplus=True, reverse=reverse)
    expected = reference.selective_scan(*inputs, delta_softplus=True, reverse=reverse)
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)
    direction = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(0))
    ours, theirs = (torch.autograd.grad(y, inputs, direction) for y in (out, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_without_softplus_delta_is_the_time_step_itself() -> None:
    inputs = _inputs(2, 11, 3, 2)
    steps = torch.nn.functional.softplus(inputs[1])
    expected = selective_scan(*inputs, delta_softplus=True)
    out = selective_scan(inputs[0], steps, *inputs[2:])
    torch.testing.assert_close(out, expected)
    ours, theirs = (torch.autograd.grad(y.square().sum(), inputs, retain_graph=True) for y in (out, expected))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("length", [9, 14])
def test_time_steps_of_zero_keep_the_state(length: int) -> None:
    x, delta, A, B, C, D = _inputs(2, length, 3, 2)
    delta = delta.detach().exp()
    delta[:, 1:] = 0
    first = (delta[:, :1] * x[:, :1]).unsqueeze(-1) * B[:, :1, None]
    expected = (first * C[:, :, None]).sum(dim=-1) + D * x
    torch.testing.assert_close(selective_scan(x, delta, A, B, C, D), expected)


def test_long_time_steps_forget_the_past() -> None:
    x, _, A, B, C, D = inputs = _inputs(2, 30, 3, 2, torch.float)
    delta = torch.full_like(x, 1e4).requires_grad_()
    inputs[1] = delta
    y = selective_scan(x, delta, A, B, C, D)
    torch.testing.assert_close(y, (delta * x) * (B * C).sum(dim=2, keepdim=True) + D * x, rtol=1e-4, atol=1e-2)
    grads = torch.autograd.grad(y.sum(), inputs)
    assert all(grad.isfinite().all() for grad in grads)
    assert grads[2].count_nonzero() == 0


def test_decays_whose_products_underflow_are_exact() -> None:
    """A third of the chunks multiplies a state by less than float32 can hold, the others by almost 1."""
    x, _, A, B, C, D = inputs = _inputs(1, 49, 3, 2, torch.float)
    delta = torch.full_like(x, 1e-4)
    delta[:, ::21] = 200.0
    inputs[1] = delta.requires_grad_()
    doubles = [each.detach().double().requires_grad_() for each in inputs]
    y, expected = selective_scan(x, delta, A, B, C, D), reference.selective_scan(*doubles)
    torch.testing.assert_close(y, expected.float(), rtol=1e-5, atol=1e-5)
    ours, theirs = torch.autograd.grad(y.sum(), inputs), torch.autograd.grad(expected.sum(), doubles)
    for grad, want in zip(ours, theirs, strict=True):
        torch.testing.assert_close(grad, want.float(), rtol=1e-4, atol=1e-4 * want.abs().max().item())


@pytest.mark.parametrize("length", [13, 25])
def test_reversed_time_is_time_of_the_flipped_input(length: int) -> None:
    x, delta, A, B, C, D = _inputs(2, length, 4, 2)
    flipped = selective_scan(x.flip(1), delta.flip(1), A, B.flip(1), C.flip(1), D, delta_softplus=True)
    out = selective_scan(x, delta, A, B, C, D, delta_softplus=True, reverse=True)
    torch.testing.assert_close(out, flipped.flip(1))


@pytest.mark.parametrize("position", [0, 6, 7, 20, 22])
def test_an_output_depends_on_no_later_input(position: int) -> None:
    x, delta, A, B, C, D = _inputs(1, 23, 3, 2)
    y = selective_scan(x, delta, A, B, C, D, delta_softplus=True)
    for grad in torch.autograd.grad(y[:, position].sum(), (x, delta, B, C)):
        assert grad[:, position + 1 :].count_nonzero() == 0
        assert grad[:, position].count_nonzero() > 0


def test_half_precision_is_computed_in_float32() -> None:
    inputs = _inputs(2, 60, 4, 2, torch.bfloat16)
    y = selective_scan(*inputs, delta_softplus=True)
    expected = selective_scan(*(each.float() for each in inputs), delta_softplus=True)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, expected.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(selective_scan(*(each.float() for each in inputs), delta_softplus=True), expected)


def test_a_constant_system_is_a_convolution_with_decaying_exponentials() -> None:
    """Not selective, the recurrence is the kernel C exp(t delta A) delta B of equation 3 of the paper."""
    length, delta, a = 20, 0.3, -0.7
    x = torch.randn(1, length, 1, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    one = torch.ones(1, length, 1, dtype=torch.double)
    kernel = torch.tensor([delta * math.exp(t * delta * a) for t in range(length)], dtype=torch.double)
    expected = [(kernel[: t + 1].flip(0) * x[0, : t + 1, 0]).sum() for t in range(length)]
    A, D = torch.full((1, 1), a, dtype=torch.double), torch.zeros(1, dtype=torch.double)
    out = selective_scan(x, one * delta, A, one, one, D)
    torch.testing.assert_close(out[0, :, 0], torch.stack(expected))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 16, 23])
def test_the_exported_form_gives_what_the_loop_gives(
    length: int, reverse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = _inputs(2, length, 5, 3)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    out = selective_scan(*inputs, delta_softplus=True, reverse=reverse)
    expected = reference.selective_scan(*inputs, delta_softplus=True, reverse=reverse)
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)

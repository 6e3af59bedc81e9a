"""The Triton kernels of the selective scan against the loop over time: on a GPU, or in Triton's interpreter.

Triton settles on its interpreter when it is first imported, so that run has a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from supernet.ops.selective_scan import reference

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
needs_device = pytest.mark.skipif(not INTERPRETED and not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.skipif(INTERPRETED, reason="would start itself")
def test_interpreted() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "gpu", __file__]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "13 passed" in run.stdout, run.stdout


@pytest.fixture
def unwritten_is_nan() -> Iterator[None]:
    """Every `torch.empty` holds NaN until it is written."""
    torch.use_deterministic_algorithms(True)
    assert torch.empty(1).isnan()
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.gpu
@needs_device
@pytest.mark.usefixtures("unwritten_is_nan")
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("batch", "length", "channels", "states"), [(2, 7, 5, 3), (1, 4, 33, 1), (1, 1, 2, 2)])
def test_kernels_give_what_the_loop_gives(
    batch: int, length: int, channels: int, states: int, dtype: torch.dtype, reverse: bool
) -> None:
    from supernet.ops.selective_scan import triton

    generator = torch.Generator().manual_seed(length)
    shapes = [(batch, length, channels)] * 2 + [(channels, states)] + [(batch, length, states)] * 2 + [(channels,)]
    inputs = [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]
    inputs[2] = -inputs[2].exp()
    ours = [each.to(DEVICE).requires_grad_() for each in inputs]
    theirs = [each.double().requires_grad_() for each in inputs]
    out = triton.selective_scan(*ours, delta_softplus=True, reverse=reverse)
    expected = reference.selective_scan(*theirs, delta_softplus=True, reverse=reverse)
    assert out.dtype == dtype
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(out.cpu().double(), expected, rtol=tolerance, atol=tolerance)
    direction = torch.randn(out.shape, generator=generator).to(dtype)
    grads = torch.autograd.grad(out, ours, direction.to(DEVICE))
    wants = torch.autograd.grad(expected, theirs, direction.double())
    for grad, want in zip(grads, wants, strict=True):
        torch.testing.assert_close(grad.cpu().double(), want, rtol=5 * tolerance, atol=5 * tolerance)


@pytest.mark.gpu
@needs_device
@pytest.mark.usefixtures("unwritten_is_nan")
def test_a_view_of_other_strides_is_read_as_it_lies() -> None:
    from supernet.ops.selective_scan import triton

    x = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(0)).transpose(0, 1).transpose(0, 2)  # (2, 3, 5)
    both = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))
    B, C = both.split(2, dim=2)
    A, D = -torch.ones(5, 2), torch.ones(5)
    out = triton.selective_scan(*(each.to(DEVICE) for each in (x, x, A, B, C, D)), delta_softplus=True)
    expected = reference.selective_scan(x, x, A, B, C, D, delta_softplus=True)
    torch.testing.assert_close(out.cpu(), expected, rtol=1e-5, atol=1e-5)

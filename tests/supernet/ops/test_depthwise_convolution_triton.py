"""The Triton kernels against the sum over taps: on a GPU, or interpreted on the CPU in a process of their own.

The interpreter must be chosen before triton is imported, and other tests import it. Unwritten memory holds NaN.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from supernet.ops import depthwise_convolution as op
from supernet.ops.depthwise_convolution import reference

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"

on_device = pytest.mark.skipif(not INTERPRETED and not torch.cuda.is_available(), reason="needs a GPU or interpreter")


@pytest.mark.skipif(INTERPRETED, reason="this is the interpreted run")
def test_interpreted() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", __file__]
    run = subprocess.run(command, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
    assert "12 passed, 1 skipped" in run.stdout, run.stdout


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The op on the Triton path, every `torch.empty` filled with NaN."""
    from supernet.ops.depthwise_convolution import triton

    monkeypatch.setattr(op, "_backend", lambda x: triton)
    monkeypatch.setattr(triton, "SPAN", 128)
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def _surrounded_by_nan(*shape: int) -> Tensor:
    """Normal values in the middle of a larger tensor of NaN, which nothing may read."""
    around = torch.full([size + 2 for size in shape], torch.nan)
    inside = around[tuple(slice(1, -1) for _ in shape)]
    return inside.normal_(generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.gpu
@on_device
@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("layout", ["contiguous", "channels last", "strided"])
@pytest.mark.parametrize(
    ("channels", "spatial", "kernel"),
    [(3, (75,), (5,)), (33, (9, 5), (3, 1)), (2, (3, 7), (5, 3)), (5, (3, 5, 2), (3, 3, 1))],
)
def test_kernels_are_the_sum_over_the_taps(
    channels: int, spatial: tuple[int, ...], kernel: tuple[int, ...], layout: str
) -> None:
    x = _surrounded_by_nan(2, channels, *spatial)
    if layout == "contiguous":
        x = x.contiguous()
    elif layout == "channels last":
        x = x.movedim(1, -1).contiguous().movedim(-1, 1)
    direction = _surrounded_by_nan(*x.shape)
    inputs = [x, _surrounded_by_nan(channels, 1, *kernel), _surrounded_by_nan(channels)]
    ours = [tensor.to(DEVICE).requires_grad_() for tensor in inputs]
    theirs = [tensor.double().requires_grad_() for tensor in inputs]
    out = op.depthwise_convolution(ours[0], ours[1], ours[2])
    expected = reference.depthwise_convolution(theirs[0], theirs[1], theirs[2])
    torch.testing.assert_close(out.cpu(), expected.float(), rtol=1e-5, atol=1e-5)
    gradients = torch.autograd.grad(out, ours, direction.to(DEVICE))
    wanted = torch.autograd.grad(expected, theirs, direction.double())
    for gradient, want in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(gradient.cpu(), want.float(), rtol=1e-4, atol=1e-4)

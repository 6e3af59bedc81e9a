"""The Triton kernels on a GPU, beside PyTorch's own operations: forward and backward, timed in turn by CUDA events.

The depthwise convolution is compared with `torch.nn.functional.conv2d`, the selective scan with the chunked PyTorch
form that the CPU uses. Every row first checks that both give the same values.

    python -m benchmarks.gpu --out benchmarks/results/gpu.parquet
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.ops.depthwise_convolution import depthwise_convolution
from supernet.ops.selective_scan import scan, selective_scan

Forward = Callable[..., Tensor]


def cases() -> Iterator[tuple[str, Forward, Forward, list[Tensor]]]:
    """What is timed, our form, PyTorch's, and the inputs that both differentiate."""
    for dtype in (torch.float32, torch.bfloat16):
        for batch, channels, side, kernel in ((64, 96, 56, 7), (64, 192, 28, 13), (64, 192, 28, 31), (64, 384, 14, 27)):
            inputs = [_normal(batch, channels, side, side, dtype=dtype)]
            inputs += [_normal(channels, 1, kernel, kernel, dtype=dtype) / kernel, _normal(channels, dtype=dtype)]
            name = f"depthwise {kernel}x{kernel}, {batch}x{channels}x{side}x{side}, {str(dtype)[6:]}"
            yield name, depthwise_convolution, _conv2d, inputs
    for batch, length, channels, states in ((64, 196, 192, 1), (64, 784, 96, 16), (16, 3136, 96, 16)):
        x, delta = _normal(batch, length, channels), F.softplus(_normal(batch, length, channels))
        shared = [_normal(batch, length, states) for _ in range(2)]
        inputs = [x, delta, -_normal(channels, states).exp(), *shared, _normal(channels)]
        yield f"scan of {states} states, {batch}x{length}x{channels}", selective_scan, scan.selective_scan, inputs


def _normal(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, device="cuda", dtype=dtype)


def _conv2d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))


def measure(name: str, ours: Forward, theirs: Forward, inputs: list[Tensor], pairs: int) -> dict[str, Any]:
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    out, expected = ours(*leaves), theirs(*leaves)
    worst = ((out - expected).float().std() / expected.float().std()).item()
    if not worst < 0.02:
        raise AssertionError(f"{name}: outputs differ by {worst:.1%} of their standard deviation")
    direction = torch.randn_like(out)
    times: dict[str, list[float]] = {"triton": [], "torch": []}
    for pair in range(pairs + 5):
        order = (("triton", ours), ("torch", theirs))
        for key, forward in order if pair % 2 else order[::-1]:
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            torch.autograd.grad(forward(*leaves), leaves, direction)
            end.record()
            torch.cuda.synchronize()
            if pair >= 5:
                times[key].append(begin.elapsed_time(end))
    ratio = median(ours / theirs for ours, theirs in zip(times["triton"], times["torch"], strict=True))
    return {
        "case": name,
        "triton_ms": median(times["triton"]),
        "torch_ms": median(times["torch"]),
        "ratio": ratio,
        "difference": worst,
        "gpu": torch.cuda.get_device_name(),
        "torch": str(torch.__version__),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="a Parquet file for the table")
    parser.add_argument("--pairs", type=int, default=30, help="interleaved pairs (default 30)")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("torch sees no CUDA GPU here; run this on a machine with one")
    rows = []
    print(f"{'case':<46}{'triton ms':>11}{'torch ms':>10}{'ratio':>8}{'difference':>12}")
    for name, ours, theirs, inputs in cases():
        row = measure(name, ours, theirs, inputs, options.pairs)
        rows.append(row)
        print(
            f"{name:<46}{row['triton_ms']:>11.3f}{row['torch_ms']:>10.3f}{row['ratio']:>8.3f}{row['difference']:>12.1e}"
        )
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), options.out)


if __name__ == "__main__":
    main()

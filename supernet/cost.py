"""What an architecture costs by counting: parameters and floating-point operations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from search_space import Architecture
from supernet.folding import fold, foldable
from supernet.network import Task
from supernet.policies.complexity import Complexity
from supernet.skeleton import skeleton


@dataclass(frozen=True)
class Cost:
    """Of the network as it is deployed, folded. `params`: its values. `flops`: operations of one forward pass of one
    input, two for each multiply-add.
    """

    params: int
    flops: int


def _fourier_flops(x: Sequence[int], axes: Sequence[int], *_: object, out_shape: Sequence[int], **__: object) -> int:
    """5/2 n log2 n of each real transform of n values, half of a complex one's (Cooley and Tukey, 1965).

    `x` and `out_shape` are the shapes of input and output; the real one of them is the larger.
    """
    real = max(x, out_shape, key=math.prod)
    return round(2.5 * math.prod(real) * math.log2(math.prod(real[axis] for axis in axes)))


FOURIER = {torch.ops.aten._fft_r2c: _fourier_flops, torch.ops.aten._fft_c2r: _fourier_flops}


@lru_cache(maxsize=4096)
def cost(architecture: Architecture, task: Task) -> Cost:
    """Convolutions, matrix products, attention and Fourier transforms, on the meta device; no elementwise work."""
    network = skeleton(architecture, task)
    fold(network, foldable(network))
    counter = FlopCounterMode(display=False, custom_mapping=FOURIER)
    with torch.no_grad(), counter:
        network(torch.empty(2, *task.input_shape, device="meta"))  # batch norm takes no batch of one
    return Cost(sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2)


def flops_of_parts(task: Task) -> Complexity:
    """The `flops` of architectures, in microseconds where their parts have been seen."""
    return Complexity(lambda part: cost(part, task).flops)

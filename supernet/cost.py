"""What an architecture costs by counting, exactly and before it is built: parameters, operations and memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from search_space import Architecture
from supernet.folding import fold, foldable
from supernet.network import Network, Task
from supernet.policies.complexity import Complexity
from supernet.results import Results
from supernet.skeleton import skeleton


@dataclass(frozen=True)
class Cost:
    """Of the network as it is deployed, folded. `params`: its values. `flops`: operations of one forward pass of one
    input, two for each multiply-add. `activations`: values that its convolutions and matrix products give for one input
    (Radosavovic et al., "Designing Network Design Spaces", CVPR 2020, section 3.3).
    """

    params: int
    flops: int
    activations: int


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
    network = _deployed(architecture, task)
    counter, results = FlopCounterMode(display=False, custom_mapping=FOURIER), Results()
    with torch.no_grad(), results, counter:
        network(torch.empty(2, *task.input_shape, device="meta"))  # batch norm takes no batch of one
    params = sum(p.numel() for p in network.parameters())
    return Cost(params, counter.get_total_flops() // 2, results.num_activations // 2)


@lru_cache(maxsize=4096)
def peak_bytes(architecture: Architecture, task: Task) -> int:
    """Memory of the weights, and the most that one input and all results take at once in eager execution.

    In single precision, without gradients, and without what the operations need inside.
    """
    network, results = _deployed(architecture, task).eval(), Results()
    with torch.no_grad(), results:
        network(results.hold(torch.empty(1, *task.input_shape, device="meta")))
    return results.peak_bytes + sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))


def _deployed(architecture: Architecture, task: Task) -> Network:
    network = skeleton(architecture, task)
    fold(network, foldable(network))
    return network


def counts(task: Task) -> dict[str, Callable[[Architecture], int]]:
    """All that can be counted, by the names of metrics; in microseconds where parts have been seen, but for the peak of
    memory, which takes a forward pass of the whole on the meta device.
    """
    return {
        "params": Complexity(lambda part: cost(part, task).params),
        "flops": flops_of_parts(task),
        "activations": Complexity(lambda part: cost(part, task).activations),
        "peak_bytes": lambda architecture: peak_bytes(architecture, task),
    }


def flops_of_parts(task: Task) -> Complexity:
    """The `flops` of architectures, in microseconds where their parts have been seen."""
    return Complexity(lambda part: cost(part, task).flops)

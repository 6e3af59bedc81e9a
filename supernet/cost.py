"""What an architecture costs by counting: parameters and floating-point operations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from search_space import Architecture
from supernet.folding import fold, foldable
from supernet.network import Task, skeleton


@dataclass(frozen=True)
class Cost:
    """Of the network as it is deployed, folded. `params`: its values. `flops`: operations of one forward pass of one
    input, two for each multiply-add.
    """

    params: int
    flops: int


@lru_cache(maxsize=4096)
def cost(architecture: Architecture, task: Task) -> Cost:
    """Counted by PyTorch on the meta device: convolutions, matrix products and attention; elementwise work is not."""
    network = skeleton(architecture, task)
    fold(network, foldable(network))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.empty(1, *task.input_shape, device="meta"))
    return Cost(sum(p.numel() for p in network.parameters()), counter.get_total_flops())

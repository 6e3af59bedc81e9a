"""Large-small convolution."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.ops.convolution import depthwise
from supernet.ops.dynamic_convolution import dynamic_convolution
from supernet.ops.linear import Linear, scaled, scaled_weight

GROUP_SIZE = 8
"""Channels that share a kernel: 8 i to 8 i + 7, at every width."""


class LsConvolution(nn.Module):
    """A large depthwise convolution looks around and predicts, for each position, the small kernels applied there.

    Perception: half the channels, ReLU, large depthwise kernel, linear map, ReLU, and a linear map to one small kernel
    for every 8 channels. The predicted kernels of a group are brought to mean 0 and variance 1 over taps and positions
    (group normalisation), then get a learned factor and offset per tap. Aggregation: the input convolved with them.

    The paper's batch normalisation would let an image see the others of its batch. Inside the predictor nothing
    replaces it, since weights begin at unit variance and the kernels are normalised; behind the aggregation a factor
    taps^-0.5 does. Here 8 neighbouring channels share a kernel, so that a channel's group does not depend on the width;
    in the published code the groups are interleaved. The identity branch is the residual of the block.

    Use: for context-dependent filtering at the price of convolutions, in small networks and on large images.

    Source: Wang et al., "LSNet: See Large, Focus Small", CVPR 2025, section 3.2.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {
        "large_kernel_size": (3, 5, 7, 9, 11),
        "small_kernel_size": (3, 5),
    }
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)
    centred: ClassVar[dict[str, tuple[int, ...]]] = {"kernels": (2, 3, 4), "factor": (1, 2, 3), "offset": (1, 2, 3)}

    def __init__(self, width: int, *, ndim: int = 2, large_kernel_size: int = 7, small_kernel_size: int = 3) -> None:
        super().__init__()
        hidden, groups, taps = max(1, width // 2), -(-width // GROUP_SIZE), (small_kernel_size,) * ndim
        self.reduce = Linear(width, hidden)
        self.look = depthwise(hidden, (large_kernel_size,) * ndim)
        self.mix = Linear(hidden, hidden)
        self.kernels = scaled_weight(groups, hidden, *taps)
        self.factor = nn.Parameter(torch.ones(groups, *taps))
        self.offset = nn.Parameter(torch.zeros(groups, *taps))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        hidden = self.look(self.reduce(x.movedim(1, -1)).relu().movedim(-1, 1)).movedim(1, -1)
        hidden = self.mix(hidden).relu()
        groups, fan_in = self.kernels.shape[:2]
        weight = scaled(self.kernels.flatten(2).mT.flatten(0, 1), fan_in)  # (groups x taps, hidden)
        kernels = F.linear(hidden, weight).movedim(-1, 1)
        shrink = self.factor[0].numel() ** -0.5
        kernels = F.group_norm(kernels, groups, shrink * self.factor.flatten(), shrink * self.offset.flatten())
        return dynamic_convolution(x, kernels.unflatten(1, (groups, -1)), GROUP_SIZE)

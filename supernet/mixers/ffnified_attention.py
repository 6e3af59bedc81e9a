"""FFNified attention."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.ops.convolution import FUNCTIONS
from supernet.ops.linear import Linear


class FfnifiedAttention(nn.Module):
    """Attention's queries, keys and values with convolutions for products: values * GELU(keys * queries).

    Queries are a linear map of the input. Keys and values are depthwise kernels, learned instead of computed:
    each channel of the queries is correlated with `expansion` key kernels, and the GELU of each correlation is
    convolved with its own value kernel and summed, as the hidden units of an FFN are. The sum is divided by
    sqrt(expansion), so that its scale does not depend on it.

    The paper has one key kernel per channel (`expansion` 1). Its batch normalisation of the queries is left out, for an
    image must not see the others of its batch; so is the small kernel parallel to the large one, which after training
    is folded into it.

    Use: as a stronger depthwise convolution that costs about twice as much for each key kernel.

    Source: Yun et al., "MetaMixer Is All You Need", 2024, section on FFNified attention (token mixer of FFNet).
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"kernel_size": (3, 5, 7, 9), "expansion": (1, 2, 3)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)
    centred: ClassVar[dict[str, tuple[int, ...]]] = {"keys": (3, 4, 5), "values": (3, 4, 5)}

    def __init__(self, width: int, *, ndim: int = 2, kernel_size: int = 7, expansion: int = 1) -> None:
        super().__init__()
        shape, std = (expansion, width, 1, *(kernel_size,) * ndim), kernel_size ** (-ndim / 2)
        self.query = Linear(width, width)
        self.keys = nn.Parameter(torch.empty(shape).normal_(std=std))
        self.key_bias = nn.Parameter(torch.zeros(expansion, width))
        self.values = nn.Parameter(torch.empty(shape).normal_(std=std))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        queries = self.query(x.movedim(1, -1)).movedim(-1, 1)
        values = self.values * len(self.values) ** -0.5
        # One key kernel per channel at a time: a depthwise convolution with a channel multiplier is slower on a CPU.
        out = self._convolve(F.gelu(self._convolve(queries, self.keys[0], self.key_bias[0])), values[0], self.bias)
        for key, bias, value in zip(self.keys[1:], self.key_bias[1:], values[1:], strict=True):
            out = out + self._convolve(F.gelu(self._convolve(queries, key, bias)), value)
        return out

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        padding = weight.shape[-1] // 2
        return FUNCTIONS[x.dim() - 2](x, weight, bias, padding=padding, groups=len(weight))

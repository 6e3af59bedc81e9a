"""Squeeze and excitation."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from supernet.ops.linear import Linear


class SqueezeExcitation(nn.Module):
    """Each channel times a factor between 0 and 1 that a two-layer perceptron computes from the means of all channels.

    `ratio` is the width of its hidden layer over the width of the block: the inverse of the paper's reduction, so
    that more is larger.

    Use: beside convolutions, which see neighbours alone: it tells them what the whole image holds.

    Source: Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, equations 2 to 4.
    """

    choices: ClassVar[dict[str, tuple[float, ...]]] = {"ratio": (0.0625, 0.125, 0.25, 0.5)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, ratio: float = 0.25) -> None:
        super().__init__()
        hidden = max(1, int(ratio * width))
        self.squeeze = Linear(width, hidden)
        self.excite = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        means = x.flatten(2).mean(dim=2)
        weights = self.excite(self.squeeze(means).relu()).sigmoid()
        return x * weights.view(*weights.shape, *[1] * (x.dim() - 2))

"""The branch of an inverted residual block."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from supernet.norms.layer import LayerNorm
from supernet.ops.convolution import depthwise
from supernet.ops.linear import Linear


class InvertedBottleneck(nn.Module):
    """Expand the channels, convolve each of them, project them back: project(GELU(norm(depthwise(GELU(expand(x)))))).

    (batch, in_channels, *spatial) -> (batch, width, *ceil(spatial / stride)). Differences from the paper: layer norm
    stands for batch norm, so that nothing depends on the batch, and there is one instead of three: before the
    expansion or right after it, a norm over channels would leave only the sign of an image of one channel.

    Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, section 3.3; with
    GELU as in MOAT (Yang et al., ICLR 2023, section 3.1).
    """

    def __init__(
        self, in_channels: int, width: int, *, hidden: int, kernel_size: int, ndim: int, stride: int = 1
    ) -> None:
        super().__init__()
        self.expand = Linear(in_channels, hidden)
        self.depthwise = depthwise(hidden, (kernel_size,) * ndim)
        self.depthwise.stride = (stride,) * ndim
        self.norm = LayerNorm(hidden, ndim=ndim)
        self.project = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.gelu(self.expand(x.movedim(1, -1))).movedim(-1, 1)
        hidden = F.gelu(self.norm(self.depthwise(hidden)))
        return self.project(hidden.movedim(1, -1)).movedim(-1, 1)

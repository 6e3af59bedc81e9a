"""Multi-axis attention: inside windows, then over a grid."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from supernet.norms.layer import LayerNorm
from supernet.ops.attention import PartitionAttention
from supernet.ops.windows import Grid, Windows


class MultiAxis(nn.Module):
    """Attention inside windows, then between positions spread evenly over the whole image, at most `window` an axis.

    The grid attention reads the normalised sum of input and window attention, and the output is the sum of both
    attentions; with the residual around the mixer these are the paper's two residual sub-blocks. The paper's
    convolution before them and its FFNs are left to other blocks. Both attentions are the one of `window_attention`:
    cosine similarity with a position bias that an MLP computes, where the paper has scaled products and a table, since
    a table of one size means little in a window of another. On the grid, positions count in steps of the grid.

    Use: where a block should see the whole of a large image at a cost that grows with its positions, not their square.

    Source: Tu et al., "MaxViT: Multi-Axis Vision Transformer", ECCV 2022, section 3.2; Liu et al., "Swin Transformer
    V2", CVPR 2022, equations 2 to 4 (similarity and bias).
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {
        "window": (2, 3, 4, 5, 6, 7, 8, 12, 14, 16),
        "num_heads": (1, 2, 3, 4, 6, 8),
    }
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, window: int = 7, num_heads: int = 2) -> None:
        super().__init__()
        self.window = window
        self.block = PartitionAttention(width, ndim=ndim, num_heads=num_heads)
        self.norm = LayerNorm(width, ndim=ndim)
        self.grid = PartitionAttention(width, ndim=ndim, num_heads=num_heads)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        spatial = x.shape[2:]
        near = self.block(x, Windows(spatial, self.window))
        return near + self.grid(self.norm(x + near), Grid(spatial, self.window))

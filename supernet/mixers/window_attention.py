"""Multi-head attention inside windows."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from supernet.ops.attention import PartitionAttention
from supernet.ops.windows import Windows


class WindowAttention(nn.Module):
    """Cosine attention inside windows, with a bias that a small MLP computes from the log-spaced relative position.

    With `shift` "half" the windows are displaced by half their size. A Swin stage alternates "none" and "half"; offer
    both, and the search chooses for each block. A window as large as the image is global attention.

    Use: for images of many positions, where attention between all of them costs too much.

    Source: Liu et al., "Swin Transformer V2", CVPR 2022, equations 2 to 4; Liu et al., "Swin Transformer", ICCV 2021,
    section 3.2 (shifted windows). The MLP has 64 hidden units instead of 512, in proportion to the widths used here.
    """

    choices: ClassVar[dict[str, tuple[int, ...] | tuple[str, ...]]] = {
        "window": (2, 3, 4, 5, 6, 7, 8, 12, 14, 16),
        "num_heads": (1, 2, 3, 4, 6, 8),
        "shift": ("none", "half"),
    }
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, window: int = 7, num_heads: int = 2, shift: str = "none") -> None:
        super().__init__()
        self.window = window
        self.shift = window // 2 if shift == "half" else 0
        self.attention = PartitionAttention(width, ndim=ndim, num_heads=num_heads)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        return self.attention(x, Windows(x.shape[2:], self.window, self.shift))

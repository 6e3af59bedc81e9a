"""Average pooling as a mixer."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F


class Pooling(nn.Module):
    """The mean of the neighbours in a cube of `pool_size` that lie inside the image, minus the position itself.

    No parameters. The subtraction is there because a residual branch around the mixer adds the position back.

    Use: the cheapest exchange between neighbours, and the baseline that a mixer with weights has to beat.

    Source: Yu et al., "MetaFormer Is Actually What You Need for Vision" (PoolFormer), CVPR 2022, section 3.2.
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"pool_size": (3, 5, 7)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, pool_size: int = 3) -> None:
        super().__init__()
        self.pool_size = pool_size

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        return self._mean(x) - x

    def _mean(self, x: Tensor) -> Tensor:
        size, padding = self.pool_size, self.pool_size // 2
        if x.dim() == 3:
            return F.avg_pool1d(x, size, stride=1, padding=padding, count_include_pad=False)
        if x.dim() == 4:
            return F.avg_pool2d(x, size, stride=1, padding=padding, count_include_pad=False)
        # avg_pool3d refuses images smaller than the cube; the mean over a box is one over two axes, then over the third
        planes = F.avg_pool2d(x.flatten(1, 2), size, stride=1, padding=padding, count_include_pad=False)
        lines = planes.view(x.shape).flatten(3)
        means = F.avg_pool2d(lines, (size, 1), stride=1, padding=(padding, 0), count_include_pad=False)
        return means.view(x.shape)

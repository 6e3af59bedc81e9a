"""Post-norm residual."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from supernet.ops.scale import Scale


class PostNorm(nn.Module):
    """x + scale(norm(branch(x))): every branch adds values of one scale, so deep and wide networks do not grow theirs.

    `layer_scale` is a learned factor for each channel of the branch.

    Use: for deep or wide networks whose activations grow from block to block.

    Source: Liu et al., "Swin Transformer V2: Scaling Up Capacity and Resolution", CVPR 2022, section 3.2
    (residual post normalization); Touvron et al., "Going deeper with Image Transformers" (LayerScale), ICCV 2021,
    equation 4.
    """

    choices: ClassVar[dict[str, tuple[str, ...]]] = {"layer_scale": ("none", "learned")}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, layer_scale: str = "learned") -> None:
        super().__init__()
        self.scale = Scale(width) if layer_scale == "learned" else nn.Identity()

    def forward(self, x: Tensor, norm: nn.Module, branch: Callable[[Tensor], Tensor]) -> Tensor:
        """(batch, width, *spatial) -> the same; so do `norm` and `branch`."""
        return x + self.scale(norm(branch(x)))

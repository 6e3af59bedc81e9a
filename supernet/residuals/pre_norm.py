"""Pre-norm residual."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from supernet.ops.scale import Scale


class PreNorm(nn.Module):
    """x + scale(branch(norm(x))): the branch sees normalised inputs, and nothing normalises the sum.

    `layer_scale` is a learned factor for each channel of the branch.

    Use: first; it trains at higher learning rates and shallow networks need nothing else.

    Source: Xiong et al., "On Layer Normalization in the Transformer Architecture", ICML 2020, section 3.2; Touvron et
    al., "Going deeper with Image Transformers" (LayerScale), ICCV 2021, equation 4.
    """

    choices: ClassVar[dict[str, tuple[str, ...]]] = {"layer_scale": ("none", "learned")}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, width: int, *, ndim: int = 2, layer_scale: str = "learned") -> None:
        super().__init__()
        self.scale = Scale(width) if layer_scale == "learned" else nn.Identity()

    def forward(self, x: Tensor, norm: nn.Module, branch: Callable[[Tensor], Tensor]) -> Tensor:
        """(batch, width, *spatial) -> the same; so do `norm` and `branch`."""
        return x + self.scale(branch(norm(x)))

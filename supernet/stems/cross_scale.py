"""Cross-scale embedding."""

from __future__ import annotations

from itertools import chain
from typing import ClassVar

import torch
from torch import Tensor, nn

from supernet.ops.patches import PatchConvolution

GROUP = 8
SHARES = ((0, 2, 4, 6), (1, 5), (3,), (7,))
"""The channels i mod GROUP that see each scale, from the smallest: half, a quarter, an eighth and an eighth of all."""


class CrossScale(nn.Module):
    """Linear maps of patches of several sizes around each position, larger patches for fewer channels.

    With stride s there are patches of s, 2 s, 4 s, ... positions, `num_scales` of them; those of s do not overlap.
    With fewer scales the channels of the missing ones see the largest that there is. The paper gives each scale a
    contiguous run of channels; here they are interleaved, so that a channel keeps its scale when the width changes.
    It also has a norm, which is the first thing in a block here. The paper has four scales of stride 4 in its stem
    and two of stride 2 in its downsamplers.

    Use: objects of very different sizes; costs several times the patch embedding, most of it in the largest scale.

    Source: Wang et al., "CrossFormer: A Versatile Vision Transformer Hinging on Cross-Scale Attention", ICLR 2022,
    section 3.1 (cross-scale embedding layer).
    """

    choices: ClassVar[dict[str, tuple[int, ...]]] = {"stride": (2, 4, 8), "num_scales": (2, 3, 4)}
    ndims: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __init__(self, in_channels: int, width: int, *, ndim: int = 2, stride: int = 2, num_scales: int = 3) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            PatchConvolution(
                in_channels, len(channels), size=stride * 2 ** min(scale, num_scales - 1), stride=stride, ndim=ndim
            )
            for scale, channels in enumerate(_channels(width))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, *spatial) -> (batch, width, *ceil(spatial / stride))."""
        out = torch.cat([scale(x) for scale in self.scales], dim=1)
        channels = list(chain.from_iterable(_channels(out.shape[1])))
        places = sorted(range(len(channels)), key=channels.__getitem__)
        return out.index_select(1, torch.tensor(places, device=out.device))


def _channels(width: int) -> list[list[int]]:
    """The channels of each scale; a width below 8 has none of the largest."""
    channels = [[i for i in range(width) if i % GROUP in share] for share in SHARES]
    return [own for own in channels if own]

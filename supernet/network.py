"""Network(architecture, task): the standalone model, ordinary PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from search_space import Architecture, Block, Component, Stage
from supernet.ops.linear import Linear
from supernet.registry import make

Make = Callable[..., nn.Module]
"""What builds a component: `supernet.registry.make`, or one that takes its place."""


@dataclass(frozen=True)
class Task:
    """What the model is for: the shape of one input, `(channels, *spatial)`, and the number of classes."""

    input_shape: tuple[int, ...]
    num_classes: int

    @property
    def ndim(self) -> int:
        """Spatial dimensions: 1, 2 or 3."""
        return len(self.input_shape) - 1


class NetworkBlock(nn.Module):
    """A mixer with its gate, then an FFN, each inside a residual: the block of MetaFormer."""

    def __init__(
        self, width: int, block: Block, norm: Component, residual: Component, ndim: int, make: Make = make
    ) -> None:
        super().__init__()
        self.mixer_norm = make("norm", norm, width, ndim=ndim)
        self.mixer = make("mixer", block.mixer, width, ndim=ndim)
        self.gate = make("gate", block.gate, width, ndim=ndim)
        self.mixer_residual = make("residual", residual, width, ndim=ndim)
        self.ffn_norm = make("norm", norm, width, ndim=ndim)
        self.ffn = make("ffn", block.ffn, width, ndim=ndim)
        self.ffn_residual = make("residual", residual, width, ndim=ndim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        x = self.mixer_residual(x, self.mixer_norm, lambda y: self.gate(self.mixer(y)))
        return self.ffn_residual(x, self.ffn_norm, self.ffn)


class NetworkStage(nn.Module):
    """An optional downsampler, then blocks of one width."""

    def __init__(
        self, in_width: int, stage: Stage, norm: Component, residual: Component, ndim: int, make: Make = make
    ) -> None:
        super().__init__()
        self.downsample = (
            make("stem", stage.downsample, in_width, stage.width, ndim=ndim) if stage.downsample else nn.Identity()
        )
        self.blocks = nn.ModuleList(
            NetworkBlock(stage.width, block, norm, residual, ndim, make) for block in stage.blocks
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_width, *spatial) -> (batch, width, *spatial / stride)."""
        x = self.downsample(x)
        for block in self.blocks:
            x = block(x)
        return x


class Network(nn.Module):
    """The classifier that an architecture names: stem, stages, norm, mean over positions, linear head.

    The stem gives the width of the first stage. Raises UserError for a component or option that does not exist or does
    not support the task's number of dimensions.
    """

    def __init__(self, architecture: Architecture, task: Task, make: Make = make) -> None:
        super().__init__()
        stages, norm, residual, ndim = architecture.stages, architecture.norm, architecture.residual, task.ndim
        self.stem = make("stem", architecture.stem, task.input_shape[0], stages[0].width, ndim=ndim)
        before = (stages[0], *stages[:-1])
        self.stages = nn.ModuleList(
            NetworkStage(previous.width, stage, norm, residual, ndim, make)
            for previous, stage in zip(before, stages, strict=True)
        )
        self.norm = make("norm", norm, stages[-1].width, ndim=ndim)
        self.head = Linear(stages[-1].width, task.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, *spatial) -> logits (batch, num_classes)."""
        x = self.stem(x)
        if x.dim() == 4:
            x = x.contiguous(memory_format=torch.channels_last)  # norms and depthwise convolutions are faster in it
        for stage in self.stages:
            x = stage(x)
        return self.head(self.norm(x).flatten(2).mean(dim=2))

"""Multi-architectural sampling: several subnets share one batch, and one step sees every option."""

from __future__ import annotations

from typing import ClassVar

from search_space import Architecture, Scalar
from supernet.policies.policy import Draw, Policy

WARMUP = 0.25
"""Share of the training over which the smaller numbers come in: 30 of 120 epochs in the authors' code."""


class MultiArchitecture(Policy):
    """`num_subnets` architectures, each on its own part of the batch, so a step costs one subnet's pass over it.

    Source: Liao et al., "Searching for Efficient Multi-Stage Vision Transformers", 2021 (ViT-ResNAS), and its public
    code for multi-architectural sampling: for every decision apart, each option is given to equally many parts of the
    batch, as far as they divide, in random order; at first only the largest numbers, by and by the smaller ones. There,
    masks put all parts through one pass; here each part has its own, with the same gradients.
    """

    usual: ClassVar[int] = 4
    splits_batch: ClassVar[bool] = True

    def __call__(self, draw: Draw) -> list[Architecture]:
        dealt: dict[str, list[Scalar]] = {}

        def deal(options: tuple[Scalar, ...]) -> list[Scalar]:
            if not isinstance(options[0], str):
                smaller = len(options) - 1
                options = options[smaller - min(smaller, int(draw.progress / WARMUP * smaller)) :]
            labels = draw.generator.permutation(len(options))
            return [options[labels[i % len(options)]] for i in draw.generator.permutation(self.num_subnets)]

        def architecture(turn: int) -> Architecture:
            def choose(name: str, options: tuple[Scalar, ...]) -> Scalar:
                if name not in dealt:
                    dealt[name] = deal(options)
                return dealt[name][turn]

            return draw.space.build(choose)

        return [architecture(turn) for turn in range(self.num_subnets)]

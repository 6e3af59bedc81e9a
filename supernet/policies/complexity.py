"""FLOPs of any architecture of a space from the FLOPs of its parts, in microseconds."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

from search_space import Architecture, Block, Component

Flops = Callable[[Architecture], int]
"""FLOPs of an architecture, for one input."""


SLOTS = ("mixer", "gate", "ffn")


class Complexity:
    """Exact FLOPs, counted once for each part and then only added.

    What a mixer, a gate or an FFN costs depends on the shape that enters it, which stem, downsamplers and the stage's
    width decide, and on nothing else. So an architecture costs what it would without blocks, and for each block what
    the first block seen in its place adds under these norms and residuals, and for each slot the difference that its
    component makes there.
    """

    def __init__(self, flops: Flops, copies: int = 1) -> None:
        """`flops` counts those of small architectures that stand for parts not yet seen. With `copies`, a block is
        counted as the share of so many in a row: what is measured instead of counted has noise, which is shared too.
        """
        self._flops = flops
        self._copies = copies
        self._bare: dict[Architecture, int] = {}
        self._places: dict[Hashable, _Place] = {}

    def __call__(self, architecture: Architecture) -> int:
        flops = self._flops
        bare = without_blocks(architecture)
        if bare not in self._bare:
            self._bare[bare] = flops(bare)
        total = self._bare[bare]
        for i, stage in enumerate(architecture.stages):
            key = (bare.stem, tuple(before.downsample for before in bare.stages[: i + 1]), stage.width)
            if key not in self._places:
                first = replace(bare, stages=bare.stages[: i + 1])
                self._places[key] = _Place(first, stage.blocks[0], flops, self._copies)
            total += self._places[key].added(stage.blocks, bare.norm, bare.residual, flops)
        return total


class _Place:
    """What blocks add to the last stage of `bare`, which has none."""

    def __init__(self, bare: Architecture, reference: Block, flops: Flops, copies: int) -> None:
        self.bare = bare
        self.reference = reference
        self.copies = copies
        self.with_reference = flops(with_blocks(bare, *copies * [reference]))
        self.added_by_reference: dict[tuple[Component, Component], int] = {}
        self.differences = {(slot, getattr(reference, slot)): 0 for slot in SLOTS}

    def added(self, blocks: Sequence[Block], norm: Component, residual: Component, flops: Flops) -> int:
        if (norm, residual) not in self.added_by_reference:
            bare = replace(self.bare, norm=norm, residual=residual)
            added = flops(with_blocks(bare, *self.copies * [self.reference])) - flops(bare)
            self.added_by_reference[norm, residual] = added // self.copies
        total = len(blocks) * self.added_by_reference[norm, residual]
        for block in blocks:
            for slot in SLOTS:
                component: Component = getattr(block, slot)
                if (slot, component) not in self.differences:
                    other = replace(self.reference, **{slot: component})
                    changed = flops(with_blocks(self.bare, *self.copies * [other]))
                    self.differences[slot, component] = (changed - self.with_reference) // self.copies
                total += self.differences[slot, component]
        return total


def with_blocks(bare: Architecture, *blocks: Block) -> Architecture:
    """`bare` with these blocks in its last stage."""
    *before, last = bare.stages
    return replace(bare, stages=(*before, replace(last, blocks=blocks)))


def without_blocks(architecture: Architecture) -> Architecture:
    """Its skeleton: stem, downsamplings and widths."""
    return replace(architecture, stages=tuple(replace(stage, blocks=()) for stage in architecture.stages))

"""Names of choices carry positions: in `stages.0.blocks.1.mixer` the numbers say where, the rest says what."""

from __future__ import annotations

import re
from typing import NamedTuple

NUMBER = re.compile(r"\d+(?=[._]|$)")


class Factor(NamedTuple):
    """One choice as a number: the value of a numeric choice, or 1 where a named choice takes this category."""

    name: str
    category: str | None = None

    @property
    def label(self) -> str:
        return self.name if self.category is None else f"{self.name}={self.category}"

    @property
    def place(self) -> str:
        """The name up to its last number, `stages.0.blocks.1`; empty for a name without one."""
        numbers = list(NUMBER.finditer(self.name))
        return self.name[: numbers[-1].end()] if numbers else ""

    @property
    def depth(self) -> int:
        return len(NUMBER.findall(self.name))

    def starred(self, level: int) -> Factor:
        """With every number but the first `level` replaced by a star: the pattern that positions have in common."""
        count = iter(range(self.depth))
        return self._replace(name=NUMBER.sub(lambda m: m.group() if next(count) < level else "*", self.name))

    def meets(self, other: Factor) -> bool:
        """Whether a product with a factor of the same or a containing place says anything new: one of the two is
        a number, and neither is an option of the other's component."""
        a, b = sorted((self.name, other.name))
        return None in (self.category, other.category) and a != b and not b.startswith(f"{a}.")


Term = tuple[Factor, ...]
"""A factor, or a product of up to three."""


def contains(outer: str, inner: str) -> bool:
    """Whether the place `inner` lies inside the place `outer`."""
    return outer != inner and (not outer or inner.startswith(f"{outer}."))

"""ChoiceMatrix: the choices of many architectures at once, as a matrix of integers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from search_space.architecture import Scalar

Codes = npt.NDArray[np.int16]
ABSENT = -1
"""The code of a decision that is not made, such as the kernel size of a block that is not there."""


@dataclass(frozen=True)
class ChoiceMatrix:
    """Row i, column j: which option of the j-th decision the i-th architecture takes, or ABSENT.

    decisions: name -> options, in the order of the columns. codes: (architectures, decisions).
    """

    decisions: Mapping[str, tuple[Scalar, ...]]
    codes: Codes

    @classmethod
    def of(cls, decisions: Mapping[str, tuple[Scalar, ...]], rows: Iterable[Mapping[str, Scalar]]) -> Self:
        """From choices by name; other names are ignored. Raises ValueError for what is no option."""
        index = [(name, {option: code for code, option in enumerate(options)}) for name, options in decisions.items()]
        codes = [[codes[row[name]] if name in row else ABSENT for name, codes in index] for row in rows]
        return cls(decisions, np.array(codes, dtype=np.int16).reshape(len(codes), len(decisions)))

    def __len__(self) -> int:
        return len(self.codes)

    def at(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> Self:
        return type(self)(self.decisions, self.codes[rows])

    def choices(self, row: int) -> dict[str, Scalar]:
        """Those of one architecture, by name."""
        made = zip(self.decisions.items(), self.codes[row].tolist(), strict=True)
        return {name: options[code] for (name, options), code in made if code != ABSENT}

    def without(self, other: Self) -> Self:
        """The rows that `other`, of the same decisions, does not have."""
        known = set(other.keys())
        return self.at(np.array([key not in known for key in self.keys()], dtype=bool))

    def distinct(self) -> Self:
        """Each row where it first stands."""
        first = {key: i for i, key in reversed([*enumerate(self.keys())])}
        return self.at(np.array(sorted(first.values()), dtype=np.intp))

    def keys(self) -> list[bytes]:
        """One for each architecture; equal exactly when the choices are."""
        num_bytes = self.codes.shape[1] * self.codes.itemsize
        if num_bytes == 0:
            return [b""] * len(self)
        whole: list[bytes] = np.ascontiguousarray(self.codes).view(f"V{num_bytes}").ravel().tolist()
        return whole

"""What may vary: architectures as values, and spaces of them. Standard library and numpy only.

Names are imported when first asked for, so that `snugnet --help` does not wait for numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search_space.architecture import Architecture, Block, Component, Scalar, Stage
    from search_space.declaration import read_space
    from search_space.errors import UserError
    from search_space.matrix import ChoiceMatrix
    from search_space.population import PopulationSpace
    from search_space.space import Choose, SearchSpace

__all__ = [
    "Architecture",
    "Block",
    "ChoiceMatrix",
    "Choose",
    "Component",
    "PopulationSpace",
    "Scalar",
    "SearchSpace",
    "Stage",
    "UserError",
    "read_space",
]

_HOMES = {
    **dict.fromkeys(["Architecture", "Block", "Component", "Scalar", "Stage"], "architecture"),
    **dict.fromkeys(["Choose", "SearchSpace"], "space"),
    "ChoiceMatrix": "matrix",
    "PopulationSpace": "population",
    "UserError": "errors",
    "read_space": "declaration",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"search_space.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'search_space' has no attribute {name!r}")

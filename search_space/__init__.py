"""What may vary: architectures as values, and spaces of them. Standard library and numpy only."""

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

"""A supernet that starts from a trained network, its most important units first."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from search_space import Architecture
from supernet.importance.criterion import Batches, Criterion
from supernet.importance.symmetry import Axis, Symmetry, elastic_axes, symmetries
from supernet.skeleton import skeleton
from supernet.supernet import Supernet


def start_from(
    supernet: Supernet,
    architecture: Architecture,
    weights: Mapping[str, Tensor],
    criterion: Criterion,
    batches: Batches,
) -> list[Axis]:
    """Fill the supernet with the trained weights of one architecture, sorted by the criterion on these batches.

    The subnet of that architecture computes what the trained network does; weights of other choices stay as they are.
    Returns the elastic axes that could not be sorted, because reordering them would change the function. Raises
    UserError where the architecture is not in the space.
    """
    axes = elastic_axes(supernet.space, architecture, supernet.task)
    found = symmetries(architecture, supernet.task, axes)
    network = skeleton(architecture, supernet.task).eval()
    network.load_state_dict({name: value.detach().clone() for name, value in weights.items()}, assign=True)
    supernet.fill(architecture, sort_channels(network, found, criterion, batches))
    sorted_axes = {axis for symmetry in found for axis in symmetry.axes}
    return [axis for axis in axes if axis not in sorted_axes]


def sort_channels(
    network: nn.Module, symmetries: list[Symmetry], criterion: Criterion, batches: Batches
) -> dict[str, Tensor]:
    """The network's parameters with the units of each symmetry from the most important to the least; the same function.

    Units of equal importance keep their order.
    """
    values = {name: parameter.detach() for name, parameter in network.named_parameters()}
    for symmetry, scores in zip(symmetries, criterion(network, symmetries, batches), strict=True):
        values = symmetry.reordered(values, scores.argsort(descending=True, stable=True))
    return values

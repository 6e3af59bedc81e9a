"""Folding: modules that train as several parts and deploy as one take their deployed form."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from search_space import UserError


@runtime_checkable
class Foldable(Protocol):
    """A module with another form that computes the same and is smaller or faster, but trains less well."""

    def fold(self) -> nn.Module:
        """That form, from the present values; on the meta device from shapes alone."""


def foldable(network: nn.Module) -> list[str]:
    """The names of the modules that can be folded. A module inside a foldable one is folded with it."""
    names: list[str] = []
    for name, module in network.named_modules():
        if isinstance(module, Foldable) and not any(name.startswith(f"{outer}.") for outer in names):
            names.append(name)
    return names


@torch.no_grad()
def fold(network: nn.Module, names: Collection[str]) -> None:
    """Replace the modules of these names by their folded forms. Raises UserError for one that cannot be folded."""
    for name in names:
        module = dict(network.named_modules()).get(name)
        if not isinstance(module, Foldable):
            raise UserError(f"{name} cannot be folded; foldable here: {', '.join(foldable(network)) or 'nothing'}")
        network.set_submodule(name, module.fold().train(network.training))

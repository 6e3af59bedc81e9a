"""The results of a network's operations: how many values, and how much memory they hold at once."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten

PRODUCTS = {
    aten.convolution.default,
    aten.mm.default,
    aten.addmm.default,
    aten.bmm.default,
    aten.baddbmm.default,
}
"""Operations whose results are activations."""


class Results(TorchDispatchMode):
    """While it is active, counts what operations give. Views take no memory of their own, and what nothing refers to
    any more is free, as in eager execution.
    """

    def __init__(self) -> None:
        super().__init__()
        self.num_activations = 0
        self.peak_bytes = 0
        self._bytes = 0
        self._held: set[int] = set()

    def hold(self, tensor: Tensor) -> Tensor:
        """The tensor, whose memory counts for as long as anything refers to it."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self._held:
            self._held.add(key)
            self._bytes += size
            self.peak_bytes = max(self.peak_bytes, self._bytes)
            weakref.finalize(storage, self._release, key, size)
        return tensor

    def _release(self, key: int, size: int) -> None:
        self._held.discard(key)
        self._bytes -= size

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(given):
            if isinstance(tensor, Tensor):
                self.hold(tensor)
                self.num_activations += tensor.numel() * (func in PRODUCTS)
        return given

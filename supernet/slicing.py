"""The one slicing rule: how a small subnet's parameter lies inside the shared one."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd


def cut(tensor: Tensor, shape: Sequence[int], centred: Sequence[int] = ()) -> Tensor:
    """The part of `tensor` that a subnet of this `shape` uses: a view.

    Axes in `centred` are cut around their centre, every other axis to its leading entries. Parts of growing shape are
    nested: each contains the smaller ones. Raises ValueError where `shape` does not fit inside the tensor.
    """
    if tensor.shape == shape:
        return tensor
    if len(shape) != tensor.dim() or any(small > full for small, full in zip(shape, tensor.shape, strict=True)):
        raise ValueError(f"a part of shape {tuple(shape)} does not fit inside a weight of shape {tuple(tensor.shape)}")
    start = sum(
        (full - size) // 2 * stride
        for axis, (size, full, stride) in enumerate(zip(shape, tensor.shape, tensor.stride(), strict=True))
        if axis in centred
    )
    return tensor.as_strided(shape, tensor.stride(), tensor.storage_offset() + start)


def centred_axes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """The axes that are cut around their centre, for each parameter that has any.

    They are those of convolution kernels, and what a module declares in a class attribute `centred`: from the
    parameter's own name to its axes.
    """
    return {
        f"{prefix}.{name}" if prefix else name: axes
        for prefix, module in network.named_modules()
        for name, axes in centred_in(module).items()
    }


def centred_in(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """The same of a module's own parameters, without those of the modules in it."""
    kernel = {"weight": tuple(range(2, module.weight.dim()))} if isinstance(module, _ConvNd) else {}
    return {**getattr(module, "centred", {}), **kernel}

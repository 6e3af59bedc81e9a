"""Components from outside: files of your own, and ordinary modules of other libraries."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from search_space import Scalar, UserError
from supernet.registry import KEEPS_SHAPE, only_class, register

WIDTH = "width"
"""As an option's value: the width of the place where the component stands."""


def load_components(paths: Sequence[str]) -> None:
    """Make components from outside known under their last name: `my_package.my_mixer`, `torch.nn.Conv2d`.

    A path names a module that holds one component, as in this package's folders, or a class. A class without `choices`
    is taken as it is (`Foreign`). What takes `(in_channels, width)` becomes a stem; anything else may stand as mixer,
    gate, FFN or norm. Importing runs the module's code, so name only what you trust. Doing it again changes nothing.
    Raises UserError for what cannot be imported or is not a component.
    """
    for path in paths:
        name, cls = path.rpartition(".")[2], _import(path)
        try:
            if "choices" not in vars(cls):
                register(name, Foreign(cls), KEEPS_SHAPE)
            elif next(iter(inspect.signature(cls).parameters), "") == "in_channels":
                register(name, cls, ("stem",))
            else:
                register(name, cls, KEEPS_SHAPE)
        except TypeError as error:
            raise UserError(f"search_space.components: {path}: {error}") from None


def _import(path: str) -> type[nn.Module]:
    before, _, last = path.rpartition(".")
    where = f"search_space.components: {path!r}"
    if not path:
        raise UserError(f"{where} names nothing; name a module or a class, such as 'torch.nn.Conv2d'")
    try:
        return only_class(importlib.import_module(path))
    except ModuleNotFoundError as error:
        if error.name != path or not before:
            raise UserError(
                f"{where} cannot be imported ({error}); install it or put its folder on PYTHONPATH"
            ) from None
    except TypeError as error:
        raise UserError(f"{where}: {error}") from None
    cls = getattr(importlib.import_module(before), last, None)
    if not (inspect.isclass(cls) and issubclass(cls, nn.Module)):
        raise UserError(f"{where} is neither a module nor a torch.nn.Module; name one, such as 'torch.nn.Conv2d'")
    return cls


class Foreign:
    """An ordinary module of another library as a component: `Foreign(nn.Conv2d)(width, ndim=2, kernel_size=3)`.

    The constructor's first parameter gets the width, or every option that says "width": `in_channels = "width"`.
    Inputs are (batch, width, *spatial). A module that refuses these is given tokens (batch, positions, width), or
    else (positions, batch, width). Which of them it takes is found by calling it once; it must keep the shape, treat
    each input of a batch on its own, and have no buffers, of which a supernet shares none. Raises UserError otherwise.

    Narrower versions use the leading entries of every axis, kernels their centre. That is right for a convolution; a
    module that folds two factors into one axis, such as the queries, keys and values of
    `nn.MultiheadAttention`, is right at one width only.
    """

    ndims = (1, 2, 3)

    def __init__(self, cls: type[nn.Module]) -> None:
        self.cls = cls
        self.choices: dict[str, tuple[Scalar, ...]] = dict.fromkeys(inspect.signature(cls).parameters, ())
        self.__doc__ = f"{(inspect.getdoc(cls) or cls.__name__).splitlines()[0]}\n\nSource: {self.path}."

    @property
    def path(self) -> str:
        return f"{self.cls.__module__}.{self.cls.__qualname__}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Foreign) and self.cls is other.cls

    def __hash__(self) -> int:
        return hash(self.cls)

    def __call__(self, width: int, *, ndim: int = 2, **options: Scalar) -> nn.Module:
        layout = _layout(self, width, ndim, tuple(sorted(options.items())))
        module = self.build(width, options)
        return module if layout == CHANNELS_FIRST else Tokens(module, layout)

    def build(self, width: int, options: dict[str, Scalar]) -> nn.Module:
        given: dict[str, Any] = {key: width if value == WIDTH else value for key, value in options.items()}
        return self.cls(**given) if WIDTH in options.values() else self.cls(width, **given)


class Tokens(nn.Module):
    """A module of tokens for (batch, width, *spatial): every position is a token."""

    def __init__(self, module: nn.Module, layout: str) -> None:
        super().__init__()
        self.module = module
        self.layout = layout

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *spatial) -> the same."""
        tokens = x.flatten(2).permute(*LAYOUTS[self.layout])
        out = self.module(tokens)
        if out.shape != tokens.shape:
            raise ValueError(f"gave {tuple(out.shape)} for {tuple(tokens.shape)}")
        back = [LAYOUTS[self.layout].index(axis) for axis in range(3)]
        return out.permute(*back).unflatten(2, x.shape[2:])


CHANNELS_FIRST = "(batch, width, *spatial)"
LAYOUTS = {"(batch, positions, width)": (0, 2, 1), "(positions, batch, width)": (2, 0, 1)}
"""Layout -> where its axes stand in (batch, width, positions)."""


@cache
def _layout(foreign: Foreign, width: int, ndim: int, options: tuple[tuple[str, Scalar], ...]) -> str:
    """The layout that the module takes, by trying it on small random inputs."""
    batch = 3 if width != 3 else 4
    spatial = [size for size in (5, 7, 4, 6, 8) if size not in (width, batch)][:ndim]
    generator = torch.Generator().manual_seed(0)
    refusals = []
    with torch.device("cpu"), torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        x = torch.randn(batch, width, *spatial, generator=generator)
        module = _built(foreign, width, dict(options))
        for layout in (CHANNELS_FIRST, *LAYOUTS):
            candidate = module if layout == CHANNELS_FIRST else Tokens(module, layout)
            refusal = _refusal(candidate.eval(), x)
            if not refusal:
                return layout
            refusals.append(f"{layout}: {refusal}")
    shown = ", ".join(f"{key}={value}" for key, value in options)
    raise UserError(
        f"{foreign.path}({shown}) cannot be used at width {width} in {ndim} spatial dimensions: it must keep its "
        f"input's shape and treat each input of a batch on its own. Given {'; given '.join(refusals)}"
    )


def _built(foreign: Foreign, width: int, options: dict[str, Scalar]) -> nn.Module:
    try:
        module = foreign.build(width, options)
    except Exception as error:  # whatever the other library raises for its arguments
        raise UserError(f"{foreign.path} cannot be built at width {width}: {_first_line(error)}") from None
    buffers = [name for name, _ in module.named_buffers()]
    if buffers:
        raise UserError(
            f"{foreign.path} has buffers ({', '.join(buffers)}), and a supernet shares parameters only; choose options "
            "without them, such as track_running_stats=0, or another module"
        )
    return module


def _refusal(module: nn.Module, x: Tensor) -> str:
    """Why the module cannot be used in this layout; nothing where it can."""
    try:
        out, first = module(x), module(x[:1])
    except Exception as error:  # whatever the other library raises for a shape that it does not take
        return _first_line(error)
    if not isinstance(out, Tensor) or out.shape != x.shape:
        return f"it returned {tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__} for {tuple(x.shape)}"
    if not torch.allclose(out[:1], first, rtol=1e-4, atol=1e-5):
        return "an input's output depends on the others of its batch"
    return ""


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

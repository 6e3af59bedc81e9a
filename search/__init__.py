"""Which one: the problem apart from the algorithm, and the workers on Ray that evaluate.

`search.run` and `search.TableProblem` are imported when first asked for: a problem and a front need neither Ray nor
Optuna.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.replay import run
    from search.table import TableProblem

__all__ = ["TableProblem", "run"]

_HOMES = {"run": "search.replay", "TableProblem": "search.table"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'search' has no attribute {name!r}")

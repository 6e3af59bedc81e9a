"""The code of this project as an archive, for machines of a cluster that have only what it depends on."""

from __future__ import annotations

import importlib.util
import io
import sysconfig
import zipfile
from collections.abc import Iterable
from pathlib import Path


def packed(packages: Iterable[str]) -> bytes:
    """The top-level packages and modules of these names, wherever they lie."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted(place for name in packages for place in _places(name)):
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file() and "__pycache__" not in file.parts:
                    # Without its date: equal code makes an equal archive.
                    entry = zipfile.ZipInfo(str(file.relative_to(path.parent)))
                    archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def is_installed(name: str) -> bool:
    """Whether a top-level package or module came with Python or was installed, and so is no work in progress."""
    homes = {Path(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    return all(homes & set(place.parents) for place in _places(name))


def _places(name: str) -> list[Path]:
    """None of what is built in or cannot be found."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return []
    places = spec.submodule_search_locations or ([spec.origin] if spec.has_location and spec.origin else [])
    return [Path(place) for place in places]

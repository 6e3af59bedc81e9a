"""Tensors and JSON in one safetensors file, written so that a reader never sees half of one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from search_space import UserError


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the file at once: a crash leaves the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno is not None:
            error.filename = error.filename or str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors and JSON-able metadata. Views are stored at their own size, not their storage's."""
    dense = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(dense, {key: json.dumps(value) for key, value in metadata.items()}))


def load_tensors(path: Path, device: str | torch.device = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata. Raises UserError where there is no such file or it is not whole."""
    with _opened(path, device) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, _metadata(file)  # noqa: SIM118


def load_metadata(path: Path) -> dict[str, Any]:
    """The metadata alone, with no tensor read. Raises UserError as `load_tensors` does."""
    with _opened(path) as file:
        return _metadata(file)


def _metadata(file: Any) -> dict[str, Any]:
    return {key: json.loads(value) for key, value in (file.metadata() or {}).items()}


@contextmanager
def _opened(path: Path, device: str | torch.device = "cpu") -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            yield file
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; name a file that snugnet wrote") from None
    except (SafetensorError, json.JSONDecodeError, OSError) as error:
        raise UserError(f"{path} is not a whole safetensors file ({error}); restore it or write it again") from None


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Raise UserError where what continues from the file misses something in it, or finds it in another shape."""
    try:
        yield
    except (KeyError, IndexError, TypeError, RuntimeError) as error:
        raise UserError(
            f"{path} is not a whole state ({type(error).__name__}: {error}); restore it, or remove it to begin again"
        ) from None


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin with the prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def content_hash(tensors: Mapping[str, Tensor]) -> str:
    """16 hexadecimal digits of the SHA-256 over names, shapes and values, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]

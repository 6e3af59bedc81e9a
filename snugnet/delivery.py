"""A subnet on its way out of a run: its figures on the report split, and its folder, which appears at once."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from search_space import UserError
from snugnet.evaluator import quality_of
from snugnet.progress import say
from snugnet.run import Run, writable
from snugnet.subnet import CARD, ONNX, WEIGHTS
from supernet.checkpoint import save_tensors, write_atomically
from supernet.data import ReportReading, Split, read_report_split
from supernet.export import export_onnx
from supernet.network import Network


def vacant(out: Path) -> Path:
    """The path, links followed, once it is sure that a new folder can stand there. Raises UserError."""
    place = writable(out, "--out")
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise UserError(f"{out} exists and is not empty; choose a new folder for --out")
    return place


def read_report(run: Run, network: Network, name: str) -> ReportReading:
    """Accuracy, loss and rows on the report split, through the run's ledger; `name` is that of these weights there."""

    def read(split: Split) -> dict[str, float]:
        quality = quality_of(network, split)
        return {"accuracy": quality.accuracy, "loss_nats": quality.loss_nats, "rows": quality.rows}

    return read_report_split(run.experiment.data, run.experiment.base, run.report_ledger, name, read)


def deliver(place: Path, network: Network, card: dict[str, Any], run: Run) -> dict[str, Any]:
    """Write the folder of a subnet, whole or not at all; the card with what is known of its files and where
    its run is.
    """
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    try:
        save_tensors(temporary / WEIGHTS, network.state_dict(), {"id": card["id"]})
        say("exporting to ONNX")
        difference = export_onnx(network, run.task.input_shape, temporary / ONNX)
        files = {name: hashlib.sha256((temporary / name).read_bytes()).hexdigest() for name in (WEIGHTS, ONNX)}
        versions = {name: version(name) for name in ("snugnet", "torch", "onnx", "onnxruntime", "safetensors")}
        parent = card["parent"] | {"run": os.path.relpath(run.folder.resolve(), place)}
        card = {**card, "parent": parent, "versions": versions, "onnx_largest_difference": difference, "files": files}
        write_atomically(temporary / CARD, as_bytes(card))
        _put(temporary, place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return card


def _put(temporary: Path, place: Path) -> None:
    """Where there is nothing, or an empty folder. Raises UserError where another command was faster."""
    try:
        if place.exists():
            place.rmdir()
        temporary.rename(place)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        message = f"another command has written {place} meanwhile; it is kept, choose a new folder for --out"
        raise UserError(message) from None


def as_bytes(card: dict[str, Any]) -> bytes:
    return json.dumps(card, indent=2, allow_nan=False).encode()

"""A subnet folder: what `snugnet extract` writes and what a deployment loads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search_space import Architecture, UserError
from supernet.checkpoint import load_tensors
from supernet.evaluation import load_state
from supernet.folding import fold
from supernet.foreign import load_components
from supernet.network import Network, Task

CARD, WEIGHTS, ONNX = "card.json", "model.safetensors", "model.onnx"


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a subnet. Raises UserError where the folder holds none."""
    path = Path(folder) / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{folder} is not a subnet: it has no {CARD}; make one with snugnet extract") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON ({error}); extract the subnet again") from None
    if not isinstance(card, dict) or not {"id", "architecture", "task"} <= card.keys():
        raise UserError(f"{path} is not the card of a subnet; extract the subnet again")
    for key, kind in (("architecture", dict), ("files", dict), ("folded", list), ("components", list)):
        if not isinstance(card.get(key, kind()), kind):
            raise UserError(f"{path}: {key}={card[key]!r} is not readable; extract the subnet again")
    return card


def load_subnet(folder: Path | str, components: Sequence[str] = ()) -> Network:
    """The subnet as a PyTorch module in evaluation mode: (batch, channels, *spatial) -> logits (batch, num_classes).

    Inputs are normalised with the mean and standard deviation that the card names under `data`. A subnet made with
    components from outside snugnet needs their code: the folder only names it, and it is imported when `components`
    names it too. Raises UserError where the folder is not a whole subnet.
    """
    folder = Path(folder)
    card = read_card(folder)
    needed = [str(path) for path in card.get("components", [])]
    if set(needed) - set(components):
        raise UserError(
            f"{folder} needs code from outside snugnet, {', '.join(needed)}; if you trust it, name it: "
            f"components={needed} in Python, --component on the command line; {ONNX} needs none of it"
        )
    load_components(components)
    network = Network(Architecture.from_dict(card["architecture"]), read_task(card, folder))
    fold(network, card.get("folded", []))
    check_file(folder, WEIGHTS, card)
    tensors, _ = load_tensors(folder / WEIGHTS)
    load_state(network, tensors, folder / WEIGHTS)
    return network.eval()


def check_file(folder: Path, name: str, card: dict[str, Any]) -> Path:
    """The path of a subnet's file. Raises UserError where it is not the one that the card was written with."""
    path = folder / name
    if not path.is_file():
        raise UserError(f"{folder} has no {name}; extract the subnet again")
    if hashlib.sha256(path.read_bytes()).hexdigest() != card.get("files", {}).get(name):
        raise UserError(f"{path} is not the file that {CARD} was written with; extract the subnet again")
    return path


def read_task(card: dict[str, Any], folder: Path) -> Task:
    try:
        task = Task(tuple(int(size) for size in card["task"]["input_shape"]), int(card["task"]["num_classes"]))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder / CARD}: task is not readable ({error}); extract the subnet again") from None
    if min(task.num_classes, *task.input_shape) < 1 or task.ndim not in (1, 2, 3):
        raise UserError(f"{folder / CARD}: {task} is no task; extract the subnet again")
    return task

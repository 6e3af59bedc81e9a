"""`snugnet finish`: an extracted subnet trained further on its own, taught by the largest of its supernet."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from search_space import Architecture, UserError
from snugnet.alone import Alone, train_alone
from snugnet.delivery import deliver, read_report, vacant
from snugnet.evaluator import BATCH_SIZE, inherited, quality_of
from snugnet.intervals import Interval, columns, gain, share
from snugnet.progress import Interrupted, Progress, clock, say
from snugnet.run import Run
from snugnet.subnet import CARD, ONNX, WEIGHTS, load_subnet, read_card
from supernet.checkpoint import content_hash
from supernet.data import Split, in_order
from supernet.machine import use_threads
from supernet.network import Network
from supernet.settings import HIGHEST_RATE


@dataclass(frozen=True)
class Finished:
    """A finished subnet's folder and its card."""

    folder: Path
    card: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return {"subnet": str(self.folder), **self.card}

    def text(self) -> str:
        finished, measured = self.card["finished"], self.card["measured"]
        found, teacher = Interval(**finished["gain"]), finished["teacher"]
        trained = f"{finished['epochs']} epochs at learning rate {finished['learning_rate']:g}"
        taught = f"taught by {teacher['id']} ({teacher['search_accuracy']:.4f}) with weight {teacher['weight']:g}"
        lines = [f"{self.card['id']}: {trained} in {clock(finished['seconds'])}, {taught}"]
        lines.append(f"{'':<18}{'before':>10}{'interval':>20}{'after':>10}{'interval':>20}")
        lines += [
            f"{name.replace('_', ' '):<18}{columns(finished['before'][name])}{columns(measured[name])}"
            for name in ("search_accuracy", "report_accuracy")
        ]
        lines.append(
            f"gain on the search split: {100 * found.value:+.2f} points (95% interval {100 * found.low:+.2f} to "
            f"{100 * found.high:+.2f}); {finished['won']} rows became right, {finished['lost']} wrong, of "
            f"{measured['search_accuracy']['rows']:,}"
        )
        lines.append(f"{self.folder}: {WEIGHTS}, {ONNX}, {CARD}")
        return "\n".join([*lines, verdict(found)])


def verdict(found: Interval) -> str:
    """When finishing is worth it: where the whole interval of the gain lies above zero."""
    if found.low > 0:
        return "Worth it: the interval of the gain lies above zero."
    if found.high < 0:
        return "Not worth it: the subnet has become worse; keep the one before, or lower --learning-rate."
    return "Not shown to be worth it: the interval of the gain includes zero; keep either, or give more --epochs."


def finish(
    subnet: Path,
    out: Path,
    *,
    epochs: int | None = None,
    learning_rate: float | None = None,
    run: Path | None = None,
) -> Finished:
    """Train the subnet on from its inherited weights, unfolded, and write a new folder of the same form.

    The recipe is the supernet's, without `epochs` for half as many as the largest alone could make at the supernet's
    cost: lower learning rates gained less wherever they were tried.
    Raises UserError where the subnet or its run cannot be used, and Interrupted after SIGINT, with nothing written.
    """
    if epochs is not None and epochs < 1:
        raise UserError(f"--epochs {epochs} must be at least 1")
    if learning_rate is not None and not 0 < learning_rate <= HIGHEST_RATE:
        raise UserError(f"--learning-rate {learning_rate:g} must be above 0 and at most {HIGHEST_RATE:g}")
    folder, place = Path(subnet), vacant(Path(out))
    card = read_card(folder)
    opened = _parent(folder, card, run)
    experiment, data = opened.experiment, opened.data
    before = load_subnet(folder, experiment.components)
    architecture, largest = Architecture.from_dict(card["architecture"]), opened.largest
    epochs = epochs or math.ceil(opened.epochs_alone / 2)
    settings = experiment.supernet
    settings = dataclasses.replace(settings, learning_rate=learning_rate or settings.learning_rate)
    num_steps = settings.num_steps(len(data.train), epochs)
    use_threads(settings.threads)
    teacher = inherited(opened.supernet, largest, data.train)
    say(f"training {card['id']} for {num_steps} steps, taught by the largest subnet")
    progress = Progress("finishing", num_steps)
    try:
        alone = train_alone(
            architecture,
            data,
            settings,
            num_steps,
            experiment.seed,
            start=opened.supernet.extract(architecture).state_dict(),
            teacher=teacher,
            on_step=lambda state: progress(state.step),
        )
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {out} is not written") from None
    card = _card(card, opened, alone, *(_right(network, data.search) for network in (before, alone.network)))
    card["finished"] |= {
        "epochs": epochs,
        "learning_rate": settings.learning_rate,
        "teacher": {
            "id": largest.id,
            "search_accuracy": quality_of(teacher, data.search).accuracy,
            "weight": settings.distillation,
        },
    }
    return Finished(Path(out), deliver(place, alone.network, card, opened))


def _card(
    old: dict[str, Any], run: Run, alone: Alone, before: NDArray[np.bool_], after: NDArray[np.bool_]
) -> dict[str, Any]:
    """The card with new accuracies. The latency stays: the operations are the same. `before` and `after` say which rows
    of the search split are right.
    """
    reading = read_report(run, alone.network, f"{old['id']}-{content_hash(alone.network.state_dict())}")
    return {
        **old,
        "predicted": {name: value for name, value in old["predicted"].items() if name != "accuracy"},
        "measured": {
            **old["measured"],
            "search_accuracy": share(float(after.mean()), len(after)),
            "report_accuracy": share(reading.figures["accuracy"], int(reading.figures["rows"])),
            "report_loss_nats": reading.figures["loss_nats"],
        },
        "report_split": {"subnets_tried": reading.num_subnets, "attempts": reading.attempts},
        "finished": {
            "before": {name: old["measured"][name] for name in ("search_accuracy", "report_accuracy")},
            "gain": gain(before, after).as_dict(),
            "won": int((after & ~before).sum()),
            "lost": int((before & ~after).sum()),
            "seconds": alone.seconds,
        },
    }


def _parent(folder: Path, card: dict[str, Any], run: Path | None) -> Run:
    """The run that the subnet came from: `run`, or where its card says. Raises UserError where it is not that one."""
    if "finished" in card:
        raise UserError(f"{folder} is finished already; finish the subnet that it came from, with more --epochs")
    known = card.get("parent", {}).get("run")
    if run is None and known is None:
        raise UserError(f"{folder}/{CARD} does not say where the subnet's run is; name it: --run DIR")
    place = run or (folder.resolve() / known)
    if run is None and not place.exists():
        raise UserError(f"the run of {folder} is no longer at {place.resolve()}; name its folder: --run DIR")
    opened = Run.open(place)
    if card.get("parent", {}).get("supernet") != opened.supernet_hash:
        raise UserError(f"{folder} was extracted from other weights than those of {place}; name its own run: --run DIR")
    if card.get("data", {}).get("fingerprint") != opened.data.fingerprint:
        raise UserError(f"the data of {place} are no longer those that {folder} was trained on; restore them")
    return opened


@torch.inference_mode()
def _right(network: Network, split: Split) -> NDArray[np.bool_]:
    """Whether each row's largest logit is its label's: (rows,)."""
    return torch.cat([network(x).argmax(1) == labels for x, labels in in_order(split, BATCH_SIZE)]).numpy()

"""A supernet that does not start at random but from the trained network that an experiment names."""

from __future__ import annotations

from itertools import islice

from torch import Tensor

from search_space import Architecture, UserError
from snugnet.progress import say
from snugnet.run import Run
from snugnet.subnet import load_subnet, read_card
from supernet.checkpoint import content_hash
from supernet.data import batches
from supernet.importance import CRITERIA, start_from
from supernet.supernet import Supernet

CRITERION = "taylor"
"""docs/training.md compares them."""

BATCHES = 16
"""Of training rows, for the criterion."""


def start(run: Run, supernet: Supernet) -> dict[str, str]:
    """Fill the supernet from what `supernet.start` names, unless the run has weights of its own already.

    Returns what the run's identity has to know of it: nothing where nothing is named. Raises UserError where there is
    no such network, where it is not an architecture of the space, and where it was trained on other rows.
    """
    named, settings = run.experiment.supernet.start, run.experiment.supernet
    if named is None:
        return {}
    where = f"supernet.start={named!r}"
    if run.supernet_path.exists() and not (run.experiment.base / named).exists():
        return {"start": run.stored["identity"]["start"]}  # it has done its part
    try:
        architecture, weights, fingerprint = _trained(run, named)
        if fingerprint != run.data.fingerprint:
            raise UserError("it was trained on other data or another split; name one made with the same [data]")
        if not run.supernet_path.exists():
            read = islice(batches(run.data.train, settings.batch_size, run.experiment.seed), BATCHES)
            kept = start_from(supernet, architecture, weights, CRITERIA[CRITERION], read)
            names = sorted({name for name, _ in kept})
            say(f"{run.folder}: starting from {named}, sorted by {CRITERION}")
            if names:
                say(f"left in their order, which their function depends on: {', '.join(names)}")
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return {"start": content_hash(weights)}


def _trained(run: Run, named: str) -> tuple[Architecture, dict[str, Tensor], str]:
    """A subnet, or the largest architecture of a trained run: with its weights and the fingerprint of its data."""
    folder = run.named(named)
    if (folder / "experiment.toml").is_file():
        other = Run.open(folder)
        largest = other.largest
        return largest, dict(other.supernet.extract(largest).named_parameters()), other.data.fingerprint
    network, card = load_subnet(folder, run.experiment.components), read_card(folder)
    if card.get("folded"):
        raise UserError(
            f"it is in its deployed form ({', '.join(card['folded'])}), which cannot be trained on; name the run it is "
            "from, whose largest architecture is taken"
        )
    return Architecture.from_dict(card["architecture"]), dict(network.named_parameters()), card["data"]["fingerprint"]

"""`snugnet extract`: one subnet out of a run, as files that stand alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from search_space import Architecture, UserError
from snugnet.delivery import as_bytes, deliver, read_report, vacant
from snugnet.estimates import Estimates, sources_of
from snugnet.evaluator import inherited
from snugnet.intervals import columns, share
from snugnet.run import Run
from snugnet.selection import FEWEST_ROWS, Budget, Choice, choose
from snugnet.subnet import CARD, ONNX, WEIGHTS
from supernet.checkpoint import write_atomically
from supernet.cost import cost
from supernet.folding import foldable
from supernet.latency import Latency
from supernet.network import Network
from supernet.skeleton import skeleton

COVERAGE = 0.9
"""Nominal coverage of the intervals of predictions."""


@dataclass(frozen=True)
class Extracted:
    """A subnet folder and its card."""

    folder: Path
    card: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return {"subnet": str(self.folder), **self.card}

    def text(self) -> str:
        measured, predicted = self.card["measured"], self.card["predicted"]
        latency = measured["latency_ms"]
        lines = [f"{self.card['id']}: {measured['params']:,} parameters, {measured['flops']:,} FLOPs"]
        lines.append(f"{'':<18}{'measured':>10}{'interval':>20}{'predicted':>12}{'interval':>20}")
        for name, found in (
            ("search accuracy", measured["search_accuracy"]),
            ("report accuracy", measured["report_accuracy"]),
            ("latency (ms)", {"value": latency["median_ms"], "low": latency["low_ms"], "high": latency["high_ms"]}),
        ):
            guess = predicted.get({"search accuracy": "accuracy", "latency (ms)": "latency_ms"}.get(name, ""))
            lines.append(f"{name:<18}{columns(found)}{columns(guess) if guess else ''}".rstrip())
        if "accuracy" not in predicted:
            lines.append(f"no predictions from {predicted['trials']} trials; they begin at {FEWEST_ROWS}")
        if self.card["folded"]:
            lines.append(f"folded: {', '.join(self.card['folded'])}")
        if not latency["stable"]:
            lines.append(f"latency NOT STABLE: {latency['reason']}")
        lines.append(f"{self.folder}: {WEIGHTS}, {ONNX}, {CARD}")
        return "\n".join([*lines, f"next: snugnet measure {quote(str(self.folder))}"])


def extract(
    run: Path,
    out: Path,
    *,
    latency_ms: float | None = None,
    max_params: int | None = None,
    max_flops: int | None = None,
    id: str | None = None,
) -> Extracted:
    """Take out the most accurate subnet within the budget, or the one called `id`, into a new folder.

    Raises UserError where nothing fits, with nothing written.
    """
    budget, place = Budget(latency_ms, max_params, max_flops), vacant(Path(out))
    opened = Run.open(Path(run))
    trials = opened.trials.rows()
    supernet, data = opened.supernet, opened.data
    finished = [row for row in trials if row["accuracy"] is not None]
    rows = [row for row in finished if row["supernet"] == opened.supernet_hash]
    if finished and not rows:
        raise UserError(f"the trials in {run} belong to other weights than {opened.supernet_path}; restore that file")
    if trials and not rows:
        failed = (trials[-1]["error"] or "no metrics").splitlines()[-1]
        raise UserError(f"all {len(trials)} trials in {run} failed, the last one with: {failed}; see snugnet search")
    if not rows:
        raise UserError(f"{run} has no finished trials; run: snugnet search {run} --trials 100")
    known = opened.calibration
    meter = known.meter(opened.task, relative_width=0.03, max_seconds=5.0)

    def measure(architecture: Architecture) -> Latency:
        return meter(inherited(supernet, architecture, data.train), budget.latency_limit_ms)

    kinds = opened.experiment.predictors
    latencies, space = opened.latencies.rows(), opened.experiment.space
    timed = [row for row in latencies if row["device_id"] == known.device.id and not row["error"]]
    sources = sources_of(latencies, opened.parts.rows(), known.device.id, space)
    estimates = Estimates(rows, space, kinds, timed, sources) if len(rows) >= FEWEST_ROWS else None
    if id is None:
        seed, noise = opened.experiment.seed, known.noise_floor or 0.0
        choice = choose(rows, budget, opened.evaluator, measure, estimates, seed, noise)
    else:
        choice = _named(id, rows, budget, measure)
    network = inherited(supernet, choice.architecture, data.train)
    card = _card(opened, choice, network, estimates, rows)
    card = deliver(place, network, card, opened)
    write_atomically(opened.folder / "subnets" / card["id"] / CARD, as_bytes(card))
    return Extracted(Path(out), card)


def _named(id: str, rows: list[dict[str, Any]], budget: Budget, measure: Any) -> Choice:
    row = next((row for row in rows if row["id"] == id), None)
    if row is None:
        raise UserError(f"--id {id} is not among the {len(rows)} finished trials; snugnet front lists the best ones")
    architecture = Architecture.from_json(row["architecture"])
    latency = measure(architecture)
    if not budget.counts_fit(row["params"], row["flops"]) or latency.high_ms > budget.latency_limit_ms:
        raise UserError(
            f"--id {id} has {row['params']:,} parameters, {row['flops']:,} FLOPs and measures up to "
            f"{latency.high_ms:.3f} ms, which is not within the budget; raise it or leave out --id"
        )
    return Choice(architecture, row, latency)


def _card(
    run: Run,
    choice: Choice,
    network: Network,
    estimates: Estimates | None,
    rows: list[dict[str, Any]],
) -> dict[str, Any]:
    experiment, data = run.experiment, run.data
    reading = read_report(run, network, f"{choice.architecture.id}-{run.supernet_hash}")
    predicted: dict[str, Any] = {"trials": len(rows), "coverage": COVERAGE}
    if estimates:
        choices = [experiment.space.choices(choice.architecture)]
        for metric, predictor in (("accuracy", estimates.accuracy), ("latency_ms", estimates.latency)):
            low, high = predictor.predict_interval(choices, coverage=COVERAGE)
            predicted[metric] = {
                "value": float(predictor.predict(choices)[0]),
                "low": float(low[0]),
                "high": float(high[0]),
            }
    counted = cost(choice.architecture, run.task)
    return {
        "id": choice.architecture.id,
        "architecture": choice.architecture.to_dict(),
        "task": {"input_shape": list(run.task.input_shape), "num_classes": run.task.num_classes},
        "folded": foldable(skeleton(choice.architecture, run.task)),
        "components": _from_outside(run, choice.architecture),
        "predicted": predicted,
        "measured": {
            "search_accuracy": share(choice.row["accuracy"], len(data.search)),
            "report_accuracy": share(reading.figures["accuracy"], int(reading.figures["rows"])),
            "report_loss_nats": reading.figures["loss_nats"],
            "latency_ms": asdict(choice.latency),
            "params": counted.params,
            "flops": counted.flops,
        },
        "report_split": {"subnets_tried": reading.num_subnets, "attempts": reading.attempts},
        "device": asdict(run.calibration.device),
        "calibration": run.calibration.to_dict(),
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "mean": data.train.mean.tolist(),
            "std": data.train.std.tolist(),
        },
        "parent": {"experiment": experiment.name, "supernet": run.supernet_hash},
    }


def _from_outside(run: Run, architecture: Architecture) -> list[str]:
    """The components of the subnet that do not come with snugnet."""
    names = set(architecture.flat().values())
    return [path for path in run.experiment.components if path.rpartition(".")[2] in names]

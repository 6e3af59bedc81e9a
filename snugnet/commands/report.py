"""`snugnet report`: everything a run found, on one page that needs nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_space import Architecture, UserError
from snugnet.commands.devices import known_devices
from snugnet.commands.front import read_front
from snugnet.commands.study_fit import study_fit
from snugnet.estimates import quality_of_predictors
from snugnet.page import Section, figure, page, paragraph, table
from snugnet.run import Run
from studies.reading import read_table
from supernet.checkpoint import write_atomically


@dataclass(frozen=True)
class Report:
    """The page, and which sections have something in them."""

    path: Path
    sections: dict[str, bool]

    def as_dict(self) -> dict[str, Any]:
        return {"report": str(self.path), "bytes": self.path.stat().st_size, "sections": self.sections}

    def text(self) -> str:
        empty = [name for name, filled in self.sections.items() if not filled]
        lines = [f"report: {self.path} ({self.path.stat().st_size / 1e6:.1f} MB, opens without a network)"]
        return "\n".join([*lines, f"nothing yet in: {', '.join(empty)}"] if empty else lines)


def report(run: Path, *, out: Path | None = None) -> Report:
    """Write `out`, which is `report.html` in the run unless given.

    What has not been run yet is said on the page, with the command that would.
    """
    opened = Run.open(Path(run))
    parts = _training, _front, _subnets, _devices, _predictors, _study
    sections = [part(opened) for part in parts]
    path = Path(out) if out else opened.folder / "report.html"
    write_atomically(path, page(opened.experiment.name, sections, opened.experiment.text).encode())
    return Report(path, {section.title: section.filled for section in sections})


def _training(run: Run) -> Section:
    title = "Training"
    if not run.supernet_path.exists():
        return Section(title, paragraph("Not trained yet: snugnet train EXPERIMENT.toml --run DIR"), filled=False)
    metadata = run.stored
    history = metadata["history"]
    probed = [row for row in history if "accuracy_largest" in row]
    loss = figure(
        "loss of the subnets of each step",
        ("step", "loss (nats)"),
        {"mean of the step": ([r["step"] for r in history], [r["loss_nats"] for r in history])},
    )
    accuracy = figure(
        "inherited accuracy on the search split",
        ("step", "accuracy"),
        {end: ([r["step"] for r in probed], [r[f"accuracy_{end}"] for r in probed]) for end in ("largest", "smallest")},
    )
    settings = run.experiment.supernet
    words = (
        f"{metadata['step']} of {metadata['num_steps']} steps with subnets drawn by the policy {settings.policy}. "
        f"The space has {run.experiment.space.size:,} architectures."
    )
    return Section(title, paragraph(words) + loss + accuracy)


def _front(run: Run) -> Section:
    title = "Pareto front"
    try:
        found = read_front(run)
    except UserError as error:
        return Section(title, paragraph(f"No front yet: {error}"), filled=False)
    metrics = [*found.objectives, *(m for m in ("params", "flops") if m not in found.objectives)]
    first, across = found.objectives[0], found.objectives[1] if len(found.objectives) > 1 else "trial"
    trials = [row for row in run.trials.rows() if row[first] is not None and row[across] is not None]
    members = sorted(found.rows, key=lambda row: row[across])
    scatter = figure(
        "trials and their Pareto front",
        (across, first),
        {
            "trials": ([r[across] for r in trials], [r[first] for r in trials]),
            "front": ([r[across] for r in members], [r[first] for r in members]),
        },
        points="trials",
        names={"trials": [r["id"] for r in trials], "front": [r["id"] for r in members]},
    )
    words = (
        f"{len(members)} of {found.num_trials} trials are on the front, {found.num_feasible} are feasible; hypervolume "
        f"{found.hypervolume:.6g} against {', '.join(f'{k} {v:.6g}' for k, v in found.reference.items())}."
    )
    rows = [[row["id"], *(row[m] for m in metrics), _stages(row)] for row in found.rows]
    return Section(title, paragraph(words) + scatter + table(["id", *metrics, "stages (width: mixers)"], rows))


def _stages(row: dict[str, Any]) -> str:
    architecture = Architecture.from_json(row["architecture"])
    return "; ".join(f"{s.width}: {', '.join(b.mixer.name for b in s.blocks)}" for s in architecture.stages)


def _subnets(run: Run) -> Section:
    title = "Chosen subnets"
    cards = [json.loads(path.read_text()) for path in sorted(run.folder.glob("subnets/*/card.json"))]
    if not cards:
        return Section(title, paragraph("None yet: snugnet extract DIR --latency-ms X --out SUBNET"), filled=False)
    rows = []
    for card in cards:
        measured, predicted = card["measured"], card["predicted"]
        latency, accuracy = measured["latency_ms"], measured["report_accuracy"]
        rows.append(
            [
                card["id"],
                f"{accuracy['value']:.4f} ({accuracy['low']:.4f} to {accuracy['high']:.4f})",
                _predicted(predicted, "accuracy"),
                f"{latency['median_ms']:.3f} ({latency['low_ms']:.3f} to {latency['high_ms']:.3f})",
                _predicted(predicted, "latency_ms"),
                measured["params"],
                measured["flops"],
                f"{card['device']['name']}, {card['device']['threads']} thread(s), {card['device']['backend']}",
            ]
        )
    head = ["id", "report accuracy", "predicted (search)", "latency ms", "predicted", "params", "FLOPs", "device"]
    tried = max(card["report_split"]["subnets_tried"] for card in cards)
    return Section(
        title, table(head, rows) + paragraph(f"{tried} subnets of this run were scored on the report split.")
    )


def _predicted(predicted: dict[str, Any], metric: str) -> str:
    found = predicted.get(metric)
    return f"{found['value']:.4g} ({found['low']:.4g} to {found['high']:.4g})" if found else "-"


def _devices(run: Run) -> Section:
    title = "Devices"
    known = known_devices(run)
    if not known:
        return Section(title, paragraph("None yet: snugnet measure DIR --architectures 50"), filled=False)
    head = ["id", "measured", "trials", "noise floor", "device", "cores", "memory, GiB", "torch / ONNX Runtime"]
    rows = []
    for each in known:
        device, noise = each.calibration.device, each.calibration.noise_floor
        counts = each.num_measured, each.num_trials, None if noise is None else f"{noise:.1%}"
        versions = f"{device.torch} / {device.onnxruntime}"
        what = f"{device.vendor} {device.describe()}", device.cores, device.memory_gib, versions
        rows.append([device.id, *counts, *what])
    words = "Latencies of different devices never mix. The noise floor is what a short measurement varies by."
    return Section(title, paragraph(words) + table(head, rows))


def _predictors(run: Run) -> Section:
    title = "Predictor quality"
    cards = quality_of_predictors(run)
    if not cards:
        return Section(title, paragraph("No finished trials to judge predictors on."), filled=False)
    names = [name for name in next(iter(cards.values())) if name not in ("reason", "learning_curve")]
    rows = [[metric, *(card[name] for name in names), card["reason"]] for metric, card in cards.items()]
    words = "From trials held out in cross-validation: what the predictor says of architectures it was not fitted on."
    html = paragraph(words) + table(["metric", *names, "note"], rows)
    known = {m: [p for p in card["learning_curve"] if p["kendall"] is not None] for m, card in cards.items()}
    lines = {m: ([p["rows"] for p in ps], [p["kendall"] for p in ps]) for m, ps in known.items() if len(ps) > 1}
    if lines:
        html += figure("Would more trials help?", ("trials learned from", "Kendall's tau"), lines)
    return Section(title, html)


def _study(run: Run) -> Section:
    title = "Scaling study"
    settings = run.experiment.studies
    folder = run.folder / "study"
    if not folder.exists():
        return Section(title, paragraph("None yet: snugnet study run EXPERIMENT.toml --run DIR"), filled=False)
    try:
        fitted = study_fit(folder, x=settings.x, y=settings.y, law=settings.law)
    except UserError as error:
        return Section(title, paragraph(f"No law fitted: {error}"), filled=False)
    rows = read_table(folder).to_pylist()
    x = settings.x[-1]
    predicted = fitted.fit.predict(read_table(folder)).y
    pairs = sorted(zip([r[x] for r in rows], [r[settings.y] for r in rows], predicted, strict=True))
    series = {
        "measured": ([p[0] for p in pairs], [p[1] for p in pairs]),
        "law": ([p[0] for p in pairs], [float(p[2]) for p in pairs]),
    }
    drawn = figure(f"{settings.y} of networks trained alone", (x, settings.y), series, points="measured", log=True)
    words = fitted.text()
    return Section(title, drawn + f"<pre>{words}</pre>")

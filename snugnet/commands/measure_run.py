"""`snugnet measure DIR --architectures K`: a table of latencies of a run's space on one device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from predictors import LatencyPredictor
from search.algorithms.exploring import Choices, Exploring, Unsure
from search.cluster import LOCAL, connected
from search.problem import Problem, Row
from search.tune import call_once, run_search
from search_space import UserError
from snugnet.calibration import Calibration, read_calibrations, typical
from snugnet.estimates import Source, sources_of
from snugnet.evaluator import Carried, device_for
from snugnet.latencies import LATENCIES, Latencies
from snugnet.progress import Interrupted, Progress, say
from snugnet.run import Run
from snugnet.strata import MOST, stratified
from supernet.device import Device

SECONDS = 2.0
"""Of an architecture's timings at most, unless the caller says otherwise; a quiet machine needs a tenth."""

SPREAD_SHARE = 0.5
"""Of the architectures that are spread over the space; the others are where the predictor is unsure."""


@dataclass(frozen=True)
class MeasuredSpace:
    """The rows of one device, those of earlier calls included."""

    folder: Path
    device: Device
    rows: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        device = {**asdict(self.device), "id": self.device.id}
        return {"run": str(self.folder), "device": device, "rows": self.rows}

    def text(self) -> str:
        rows, failed = ([row for row in self.rows if bool(row["error"]) is wanted] for wanted in (False, True))
        lines = [f"{len(rows)} architectures on {self.device.describe()}"]
        if rows:
            latencies, noise = sorted(row["latency_ms"] for row in rows), rows[0]["noise_floor"]
            unstable = sum(not row["latency_stable"] for row in rows)
            lines.append(f"{latencies[0]:.3f} to {latencies[-1]:.3f} ms, median {median(latencies):.3f}")
            lines.append(f"{unstable} not stable; noise floor {'unknown' if noise is None else f'{noise:.1%}'}")
        if failed:
            reason = failed[-1]["error"].splitlines()[-1]
            lines.append(f"{len(failed)} could not be measured; the last one: {reason}")
        return "\n".join([*lines, f"table: {self.folder / 'latencies'}"])


def measure_run(
    run: Path,
    *,
    architectures: int,
    device_options: Mapping[str, Any] | None = None,
    address: str = LOCAL,
    on: str | None = None,
) -> MeasuredSpace:
    """Measure until the run's table has so many architectures of the device; continues where an earlier call stopped.

    `device_options` take the place of those of `[search.latency]`. `on` names the Ray resource of the worker that has
    the device: there, `ray start --address HEAD --resources '{"NAME": 1}'`. Weights play no part, so the run need not
    be trained. Raises UserError, and Interrupted after SIGINT.
    """
    if not 1 <= architectures <= MOST:
        raise UserError(f"architectures={architectures} must be from 1 to {MOST}")
    if on is not None and address == LOCAL:
        raise UserError(f"--on {on} names a worker of a Ray cluster; give its --address too")
    opened = Run.open(Path(run))
    experiment, task = opened.experiment, opened.task
    seconds = max(SECONDS, experiment.search.latency.max_seconds)
    settings = replace(experiment.search.latency, **{"max_seconds": seconds, **(device_options or {})})
    resources = {on: 1.0} if on else {}
    if address == LOCAL:
        device_for(settings, task)  # what this machine cannot do is said before Ray starts
    with opened.exclusive(), connected(address, min_cpus=settings.threads):
        device: Device = call_once(partial(device_for, settings, task), resources)
        calibrations, reference = read_calibrations(opened.folder), typical(experiment.space, task)
        latencies = opened.latencies.rows()
        rows = [row for row in latencies if row["device_id"] == device.id]
        sources = sources_of(latencies, device.id, experiment.space)
        progress = Progress("architectures", architectures, len(rows))
        say(f"measuring on {device.describe()}, {len(rows)} architectures so far")

        def keep(finished: list[dict[str, Any]]) -> None:
            empty = dict.fromkeys(LATENCIES.names) | {"device_id": device.id}
            for row in finished:
                if not row.get("error"):
                    Calibration(device, reference, row["reference_ms"], row["noise_floor"]).keep(opened.folder)
            opened.latencies.append([{name: {**empty, **row}[name] for name in LATENCIES.names} for row in finished])
            progress(progress.done + len(finished))

        num_spread = min(max(round(SPREAD_SHARE * architectures), 1), experiment.space.size)
        spread = stratified(experiment.space, task, experiment.seed, num_spread)
        problem = Problem.parse(experiment.space, ["latency_ms"])
        outcome = run_search(
            Exploring(problem, experiment.seed, spread, partial(unsure, sources)),
            Carried(Latencies(task, settings, reference, calibrations, experiment.components)),
            rows,
            min(architectures, experiment.space.size),
            keep,
            address=address,
            batch_size=1,
            workers=1,
            cpus=settings.threads,
            resources=resources,
        )
    if outcome.ending == "interrupted":
        raise Interrupted(
            f"interrupted after {progress.done} of {architectures} architectures, which are kept; "
            "the same command continues"
        )
    return MeasuredSpace(
        opened.folder, device, [row for row in opened.latencies.rows() if row["device_id"] == device.id]
    )


def unsure(sources: Sequence[Source], choices: Sequence[Choices], rows: Sequence[Row]) -> Unsure:
    """The relative standard deviation of a latency predictor that is fitted to these rows and to other devices."""
    predictor = LatencyPredictor().fit(list(choices), [row["latency_ms"] for row in rows], sources=sources)

    def spread(candidates: Sequence[Choices]) -> np.ndarray[Any, np.dtype[np.float64]]:
        latency, deviation = predictor.predict(list(candidates), return_std=True)
        return np.asarray(deviation / latency)

    return spread

"""`snugnet measure DIR --architectures K --parts`: tables of latencies of a run's space on one device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from predictors import LatencyPredictor
from search.algorithms.algorithm import Algorithm
from search.algorithms.exploring import Choices, Exploring, Unsure
from search.algorithms.listed import Listed
from search.cluster import LOCAL, connected
from search.crew import Crew
from search.launch import call_once, run_search
from search.problem import Problem, Row
from search_space import UserError
from snugnet.calibration import read_calibrations, typical
from snugnet.estimates import Source, sources_of
from snugnet.evaluator import Carried
from snugnet.latencies import LATENCIES, Latencies
from snugnet.parts import parts_of
from snugnet.progress import Interrupted, Progress, say, stop_on_signal
from snugnet.run import Run
from snugnet.strata import MOST, stratified
from snugnet.timing import device_for, keep_calibrations
from studies.table import Table
from supernet.device import Device

SECONDS = 2.0
"""Of an architecture's timings at most, unless the caller says otherwise; a quiet machine needs a tenth."""

SPREAD_SHARE = 0.5
"""Of the architectures that are spread over the space; the others are where the predictor is unsure."""


@dataclass(frozen=True)
class MeasuredSpace:
    """The rows of one device, those of earlier calls included: of architectures, and of parts of the space."""

    folder: Path
    device: Device
    rows: list[dict[str, Any]]
    parts: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        device = {**asdict(self.device), "id": self.device.id}
        return {"run": str(self.folder), "device": device, "rows": self.rows, "parts": self.parts}

    def text(self) -> str:
        found = [("architectures", self.rows, "latencies"), ("parts of the space", self.parts, "parts")]
        tables = [line for what, rows, name in found for line in _summary(what, rows, self.folder / name)]
        return "\n".join([f"on {self.device.describe()}", *tables])


def _summary(what: str, rows: list[dict[str, Any]], table: Path) -> list[str]:
    measured, failed = ([row for row in rows if bool(row["error"]) is wanted] for wanted in (False, True))
    lines = []
    if measured:
        latencies, noise = sorted(row["latency_ms"] for row in measured), measured[0]["noise_floor"]
        unstable = [row["drift"] for row in measured if not row["latency_stable"]]
        spread = f"{latencies[0]:.3f} to {latencies[-1]:.3f} ms, median {median(latencies):.3f}"
        drift = f" (drift of their references {min(unstable):.2f} to {max(unstable):.2f})" if unstable else ""
        lines.append(f"{len(measured)} {what}: {spread}; {len(unstable)} not stable{drift}")
        lines.append(f"noise floor {'unknown' if noise is None else f'{noise:.1%}'}; table: {table}")
    if failed:
        reason = failed[-1]["error"].splitlines()[-1]
        lines.append(f"{len(failed)} {what} could not be measured; the last one: {reason}")
    return lines


def measure_run(
    run: Path,
    *,
    architectures: int = 0,
    parts: bool = False,
    device_options: Mapping[str, Any] | None = None,
    address: str = LOCAL,
    on: str | None = None,
) -> MeasuredSpace:
    """Measure all parts of the run's space (`parts`), then architectures until the run's table has so many of the
    device; continues where an earlier call stopped.

    `device_options` take the place of those of `[search.latency]`. `on` names the Ray resource of the worker that has
    the device: there, `ray start --address HEAD --resources '{"NAME": 1}'`. Weights play no part, so the run need not
    be trained. Raises UserError, and Interrupted after SIGINT.
    """
    if not (parts and architectures == 0) and not 1 <= architectures <= MOST:
        raise UserError(f"--architectures {architectures} must be from 1 to {MOST:,}")
    if on is not None and address == LOCAL:
        raise UserError(f"--on {on} names a worker of a Ray cluster; give its --address too")
    opened = Run.open(Path(run))
    experiment, task = opened.experiment, opened.task
    space, seed = experiment.space, experiment.seed
    seconds = max(SECONDS, experiment.search.latency.max_seconds)
    settings = replace(experiment.search.latency, **{"max_seconds": seconds, **(device_options or {})})
    resources = {on: 1.0} if on else {}
    # What this machine cannot do, what is damaged, and that nothing is left to do are said before Ray starts.
    local = device_for(settings, task) if address == LOCAL else None
    for stored in (opened.latencies.rows, opened.parts.rows, partial(read_calibrations, opened.folder)):
        stored()
    listed, number = parts_of(space) if parts else [], min(architectures, space.size)
    if local is not None:
        known = _measured(opened, local)
        if len(known.parts) >= len(listed) and len(known.rows) >= number:
            return known
    problem = Problem.parse(space, ["latency_ms"])
    with opened.exclusive(), connected(address, min_cpus=settings.threads):
        device: Device = call_once(partial(device_for, settings, task), resources)
        say(f"measuring on {device.describe()}")

        def fill(table: Table, algorithm: Algorithm, size: int, what: str) -> None:
            """Measure what the algorithm proposes until the table has so many rows of the device."""
            rows = _of_device(table, device)
            progress = Progress(what, size, len(rows))

            def keep(finished: list[dict[str, Any]]) -> None:
                empty = dict.fromkeys(LATENCIES.names) | {"device_id": device.id}
                keep_calibrations(finished, opened.folder)
                table.append([{name: {**empty, **row}[name] for name in LATENCIES.names} for row in finished])
                progress(progress.done + len(finished))

            calibrations = read_calibrations(opened.folder)
            latencies = Latencies(task, settings, typical(space, task), calibrations, experiment.components)
            crew = Crew(Carried(latencies), cpus=settings.threads, resources=resources, workers=1)
            with stop_on_signal() as stop:
                outcome = run_search(
                    algorithm,
                    crew,
                    rows,
                    size,
                    keep,
                    address=address,
                    batch_size=1,
                    packages=experiment.packages,
                    stop=stop,
                )
            if outcome.ending == "interrupted":
                raise Interrupted(
                    f"interrupted after {progress.done} of {size} {what}, which are kept; the same command continues"
                )

        if listed:
            fill(opened.parts, Listed(problem, seed, listed), len(listed), "parts")
        if architectures:
            spread = stratified(space, task, seed, min(max(round(SPREAD_SHARE * architectures), 1), space.size))
            sources = sources_of(opened.latencies.rows(), opened.parts.rows(), device.id, space)
            exploring = Exploring(problem, seed, spread, partial(unsure, sources))
            fill(opened.latencies, exploring, number, "architectures")
    return _measured(opened, device)


def _measured(run: Run, device: Device) -> MeasuredSpace:
    return MeasuredSpace(run.folder, device, _of_device(run.latencies, device), _of_device(run.parts, device))


def _of_device(table: Table, device: Device) -> list[dict[str, Any]]:
    return [row for row in table.rows() if row["device_id"] == device.id]


def unsure(sources: Sequence[Source], choices: Sequence[Choices], rows: Sequence[Row]) -> Unsure:
    """The relative standard deviation of a latency predictor that is fitted to these rows."""
    predictor = LatencyPredictor().fit(choices, [row["latency_ms"] for row in rows], sources=sources)

    def spread(candidates: Sequence[Choices]) -> np.ndarray[Any, np.dtype[np.float64]]:
        latency, deviation = predictor.predict(list(candidates), return_std=True)
        return np.asarray(deviation / latency)

    return spread

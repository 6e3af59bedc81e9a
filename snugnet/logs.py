"""What a training shows and logs: a line of progress, `training.csv`, and TensorBoard's event files."""

from __future__ import annotations

import csv
import io
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from snugnet.progress import Progress
from supernet.checkpoint import write_atomically

COLUMNS = (
    "step", "seconds", "cpu_seconds", "loss_nats", "loss_first_nats", "loss_largest_nats", "loss_smallest_nats",
    "loss_others_nats", "learning_rate", "skipped_steps", "accuracy_largest", "accuracy_smallest",
)  # fmt: skip
"""Those that a row lacks stay empty."""


class Logs:
    """Every logged row of a training in a run folder, as it happens.

    Both logs are written anew from the history that a training continues from: rows that a killed process logged after
    its last checkpoint are logged again when training comes there again. So none is there twice, and none is missing.
    """

    def __init__(self, folder: Path, history: Iterable[Mapping[str, float]]) -> None:
        from tensorboardX.event_file_writer import EventsWriter  # SummaryWriter writes in a thread, some time later

        self._path, rows = folder / "training.csv", list(history)
        write_atomically(self._path, _lines([dict(zip(COLUMNS, COLUMNS, strict=True)), *rows]).encode())
        shutil.rmtree(folder / "tensorboard", ignore_errors=True)
        self._started = time.time() - (rows[-1]["seconds"] if rows else 0.0)
        (folder / "tensorboard").mkdir()
        self._writer = EventsWriter(str(folder / "tensorboard" / "events"))
        for row in rows:
            self._show(row)
        self._writer.flush()

    def append(self, row: Mapping[str, float]) -> None:
        with self._path.open("a", encoding="utf-8", newline="") as file:
            file.write(_lines([row]))
        self._show(row)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def _show(self, row: Mapping[str, float]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=k, simple_value=v) for k, v in row.items() if k not in ("step", "seconds")]
        time = self._started + row["seconds"]
        self._writer.write_event(Event(wall_time=time, step=int(row["step"]), summary=Summary(value=values)))


class Watch:
    """Shows each step of a training on standard error, and logs its rows. `begin` comes first, and again where the
    training goes on from another step.
    """

    def __init__(self, folder: Path, num_steps: int) -> None:
        self._folder, self._num_steps = folder, num_steps
        self._logs: Logs | None = None

    def begin(self, step: int, history: Sequence[Mapping[str, float]]) -> None:
        self.close()
        self._progress = Progress("training", self._num_steps, step)
        self._logs = Logs(self._folder, history)

    def __call__(self, step: int, losses: Mapping[str, float], rows: Iterable[Mapping[str, float]]) -> None:
        """After a step: its losses in nats by size of the subnet, and the rows that it added to the history."""
        assert self._logs is not None, "begin comes first"
        several = len(losses) > 1
        note = ", ".join(f"{size} {loss:.3f}" if several else f"{loss:.3f}" for size, loss in losses.items())
        self._progress(step, f"{self._progress.pace(step):.1f} steps/s, loss {note}")
        for row in rows:
            self._logs.append(row)

    def close(self) -> None:
        if self._logs is not None:
            self._logs.close()


def _lines(rows: Iterable[Mapping[str, float | str]]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, COLUMNS, lineterminator="\n").writerows(rows)
    return text.getvalue()

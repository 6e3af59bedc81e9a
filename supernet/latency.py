"""LatencyMeter: the latency of one network on one device, with its interval, and a plain word when it is noisy.

The machine's speed changes under a measurement: other processes take cores, caches and memory bandwidth. What they take
of the core is left out by the timer (timers.py); what they take of the rest slows a reference network about as much as
others of its kind, so every timing is divided by one of a reference made right after it. Each network also has slow
and fast spells of its own, so several references take turns: what is special to one of them averages out. Reporting the
median with a nonparametric interval follows Hoefler & Belli, "Scientific Benchmarking of Parallel Computing Systems",
SC 2015.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from statistics import NormalDist, geometric_mean, median, quantiles

import torch
from torch import nn

from search_space import UserError
from supernet.backends import load
from supernet.backends import reference as reference_call
from supernet.device import Device
from supernet.machine import clock_mhz
from supernet.machine import load as machine_load
from supernet.timers import Call, Timer, Timing, timer_for

FEWEST_REPEATS = 6
"""With fewer, even the smallest and the largest timing miss the median in more than 5% of cases."""

TIMING_MS = 2.0
"""A timing repeats short calls until it lasts about this long, which makes reading the clocks (3 µs) negligible."""

CALIBRATION_SECONDS = 1.0
"""Of the timings at least, and half a second for each reference."""

NORMAL_QUARTILE = NormalDist().inv_cdf(0.75)

FEWEST_BLOCKS = 4
"""Of a calibration, from which the noise floor is taken."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds per batch: the median of `repeats` timings, its 95% interval `low_ms` to `high_ms`, all corrected.

    `drift` is the reference networks' time during the measurement over that at calibration, and the correction divides
    by it; the interval leaves out the error of the calibration, which all measurements of one meter share.
    `reference_ms` is the references' geometric mean at calibration. `wall_ms` is the stopwatch's median, uncorrected.
    `reason` says why it is not `stable`. `clock_mhz` and `load` are what the system said afterwards, None where it says
    nothing. `device` is the device's id.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    repeats: int
    stable: bool
    reason: str
    drift: float
    reference_ms: float
    wall_ms: float
    clock_mhz: float | None
    load: float | None
    device: str


class LatencyMeter:
    """Measures networks on one device, all relative to one calibration: `meter(network) -> Latency`.

    Timings of the network and of the next reference alternate until the 95% interval of the median is narrower than
    `relative_width` of it or they have taken `max_seconds` of their own time, but at least `min_repeats` times. (A busy
    machine takes longer by the clock, and gets as many timings.) The result is not stable when the interval stayed
    wider or the references ran more than `max_drift` off their calibrated times.

    The more alike the `references` are to what is measured, the better they follow what slows it: best are networks of
    the same search space, and a fixed one stands in. Construction calibrates them for seconds, unless `reference_ms`
    are given: a limit in milliseconds holds relative to the calibration it was chosen under, so hand the references and
    the meter's `reference_ms` on to whoever measures again. From a calibration also follows `noise_floor`, the relative
    standard deviation of short measurements of one network.
    Raises UserError when the device is not this machine.
    """

    def __init__(
        self,
        device: Device,
        *,
        relative_width: float = 0.05,
        min_repeats: int = 15,
        max_seconds: float = 2.0,
        max_drift: float = 0.25,
        references: Sequence[nn.Module] = (),
        reference_ms: Sequence[float] | None = None,
        timer: Timer | None = None,
    ) -> None:
        device.require_here()
        if min_repeats < FEWEST_REPEATS:
            raise UserError(f"min_repeats={min_repeats} gives no 95% interval; take at least {FEWEST_REPEATS}")
        self.device = device
        self.relative_width = relative_width
        self.min_repeats = min_repeats
        self.max_seconds = max_seconds
        self.max_drift = max_drift
        self._timer = timer or timer_for(device)
        self._references = [reference_call(device, network) for network in references] or [reference_call(device)]
        self._doubt = ""
        self.noise_floor: float | None = None
        self.reference_ms = self._calibrate() if reference_ms is None else tuple(reference_ms)
        self._turns = cycle([*zip(self._references, self.reference_ms, strict=True)])

    @classmethod
    def quick(cls, device: Device, *, reference_ms: Sequence[float] | None = None) -> LatencyMeter:
        """A meter for use inside a search: at most about 0.3 s for a network of a few milliseconds."""
        return cls(device, relative_width=0.1, min_repeats=9, max_seconds=0.3, reference_ms=reference_ms)

    def __call__(self, model: nn.Module | Path, limit_ms: float = math.inf) -> Latency:
        """The latency of a module (batch, channels, *spatial) -> tensor, or of an ONNX file.

        Where a limit matters, timings go on until the interval lies on one side of it too. Raises UserError.
        """
        call = load(model, self.device)
        with _undisturbed(self.device.threads):
            network, slowness = self._rounds(call, limit_ms)
        corrected = [timing.own_ms / slow for timing, slow in zip(network, slowness, strict=True)]
        low, high = median_interval(corrected)
        middle, drift = median(corrected), median(slowness)
        reasons = [self._doubt] if self._doubt else []
        if high - low > self.relative_width * middle:
            reasons.append(f"interval {(high - low) / middle:.0%} of the median, wanted {self.relative_width:.0%}")
        if not 1 / (1 + self.max_drift) <= drift <= 1 + self.max_drift:
            reasons.append(f"reference networks took {drift:.2f} times their calibrated time")
        return Latency(
            median_ms=middle,
            low_ms=low,
            high_ms=high,
            repeats=len(corrected),
            stable=not reasons,
            reason="; ".join(reasons),
            drift=drift,
            reference_ms=geometric_mean(self.reference_ms),
            wall_ms=median(timing.wall_ms for timing in network),
            clock_mhz=clock_mhz(),
            load=machine_load(),
            device=self.device.id,
        )

    def _calibrate(self) -> tuple[float, ...]:
        """Each reference's own time per call, timed in turn with the others just as it will be with a network."""
        number = len(self._references)
        budget = _Budget(self._timer, max(CALIBRATION_SECONDS, number / 2))
        times: list[list[float]] = [[] for _ in self._references]
        with _undisturbed(self.device.threads):
            calls = [_calls(budget.settle(reference, 0.2 / number)) for reference in self._references]
            while not budget.spent or len(times[-1]) < FEWEST_REPEATS:
                for reference, many, own in zip(self._references, calls, times, strict=True):
                    own.append(budget.time(reference, many).own_ms)
        medians = tuple(map(median, times))
        slowness = [ms / middle for turn in zip(*times, strict=True) for ms, middle in zip(turn, medians, strict=True)]
        self.noise_floor = noise_floor(
            [a / b for a, b in zip(slowness[::2], slowness[1::2], strict=False)], self.min_repeats
        )
        width = max(
            (high - low) / middle for (low, high), middle in zip(map(median_interval, times), medians, strict=True)
        )
        if width > self.relative_width:
            self._doubt = f"a reference network varied by {width:.0%} when it was calibrated"
        return medians

    def _rounds(self, call: Call, limit_ms: float) -> tuple[list[Timing], list[float]]:
        """Timings of the call until the interval is narrow, and how slow a reference showed the machine after each.

        The interval is looked at after 25% more timings each time, since one looked at after every timing would stop on
        a lucky narrow one more often than 95% coverage allows.
        """
        budget = _Budget(self._timer, self.max_seconds)
        own = budget.settle(call)
        calls = _calls(own)
        network: list[Timing] = []
        slowness: list[float] = []
        look = self.min_repeats
        while len(network) < self.min_repeats or not budget.spent:
            reference, calibrated = next(self._turns)
            network.append(budget.time(call, calls))
            as_long = max(1, round(calls * own / calibrated))  # so that both meet the same disturbances
            slowness.append(budget.time(reference, as_long).own_ms / calibrated)
            if len(network) == look:
                corrected = [timing.own_ms / slow for timing, slow in zip(network, slowness, strict=True)]
                low, high = median_interval(corrected)
                if high - low <= self.relative_width * median(corrected) and not low <= limit_ms <= high:
                    break
                look = math.ceil(1.25 * look)
        return network, slowness


def _calls(ms: float) -> int:
    """So many calls of so many ms make a timing."""
    return math.ceil(TIMING_MS / ms)


class _Budget:
    """A timer that knows when its seconds are spent."""

    def __init__(self, timer: Timer, seconds: float) -> None:
        self._timer = timer
        self._limit_ms = 1e3 * seconds
        self._ms = 0.0

    @property
    def spent(self) -> bool:
        return self._ms >= self._limit_ms

    def time(self, call: Call, calls: int) -> Timing:
        """A timing after one call that counts for nothing but refills the caches with this network's weights."""
        self._run(call, 1)
        return self._run(call, calls)

    def settle(self, call: Call, share: float = 0.2) -> float:
        """Warm up until three calls are no faster than the three before or a share of the budget is gone: ms a call."""
        self._run(call, 1)
        before = math.inf
        limit_ms = self._ms + share * self._limit_ms
        while True:
            now = min(self._run(call, 1).own_ms for _ in range(3))
            if now > 0.95 * before or self._ms > limit_ms:
                return now
            before = now

    def _run(self, call: Call, calls: int) -> Timing:
        timing = self._timer(call, calls)
        self._ms += timing.own_ms * calls
        return timing


def median_interval(sample: Sequence[float]) -> tuple[float, float]:
    """The 95% interval of the median from order statistics, free of any assumption on the distribution's form.

    Needs 6 independent values. Source: Conover, "Practical Nonparametric Statistics", 3rd edition, section 3.2.
    """
    if len(sample) < FEWEST_REPEATS:
        raise ValueError(f"the median of {len(sample)} values has no 95% interval; it takes {FEWEST_REPEATS}")
    rank = _rank(len(sample))
    ordered = sorted(sample)
    return ordered[rank], ordered[-1 - rank]


def noise_floor(ratios: Sequence[float], repeats: int) -> float | None:
    """The relative standard deviation of a median of so many `ratios`, each of two timings of the same network.

    From the quartiles of the medians of consecutive blocks; None where there are too few blocks.
    """
    blocks = [median(ratios[i : i + repeats]) for i in range(0, len(ratios) - repeats + 1, repeats)]
    if len(blocks) < FEWEST_BLOCKS:
        return None
    lower, middle, upper = quantiles(blocks, n=4)
    return (upper - lower) / (2 * NORMAL_QUARTILE * middle)


@cache
def _rank(n: int) -> int:
    """The largest r with P(at most r of n values lie below the median) <= 2.5%."""
    tail, rank = 2.0**-n, 0
    while (tail := tail + math.comb(n, rank + 1) / 2**n) <= 0.025:
        rank += 1
    return rank


@contextmanager
def _undisturbed(threads: int) -> Iterator[None]:
    """Inference mode on so many threads and without garbage collection; everything as before afterwards."""
    threads_before, collecting = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(threads)
    gc.disable()
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads_before)
        if collecting:
            gc.enable()

"""LatencyMeter: on a simulated machine whose truth is known, and on this one."""

from __future__ import annotations

import gc
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from search_space import UserError
from supernet.backends import load
from supernet.device import this_device
from supernet.latency import FEWEST_REPEATS, Latency, LatencyMeter, median_interval, noise_floor
from supernet.machine import available_cores
from supernet.timers import Call, Timing, cuda_timer, thread_timer, timer_for

DEVICE = this_device((3, 16, 16))
TRUE_MS = 3.0

Noise = Callable[[np.random.Generator], float]


def lognormal(sigma: float) -> Noise:
    """Noise with median 1."""
    return lambda generator: math.exp(sigma * generator.standard_normal())


class Machine:
    """A timer over simulated time: the reference takes 1 ms, times noise, times the machine's slowness.

    The first call after the other network's takes `cold` times as long.
    """

    def __init__(
        self,
        noise: Noise,
        slowness: Callable[[float], float] = lambda _: 1.0,
        network_ms: float = TRUE_MS,
        cold: float = 1.0,
    ) -> None:
        self.generator = np.random.default_rng(0)
        self.noise, self.slowness, self.network_ms, self.cold = noise, slowness, network_ms, cold
        self.reference: Call | None = None
        self.previous: Call | None = None
        self.now_ms = 0.0
        self.most_calls = 0

    def __call__(self, call: Call, calls: int) -> Timing:
        self.reference = self.reference or call  # calibration comes first
        is_reference = call is self.reference
        self.most_calls = max(self.most_calls, 0 if is_reference else calls)
        ms = (1.0 if is_reference else self.network_ms) * self.slowness(self.now_ms) * self.noise(self.generator)
        if call is not self.previous:
            ms *= (self.cold + calls - 1) / calls
        self.previous = call
        self.now_ms += ms * calls
        return Timing(ms, ms)


@pytest.mark.parametrize("n", [6, 9, 15, 40, 301])
@pytest.mark.parametrize("draw", ["exponential", "standard_normal", "random"])
def test_interval_covers_the_median_as_often_as_its_ranks_say(n: int, draw: str) -> None:
    generator = np.random.default_rng(n)
    truth = {"exponential": math.log(2), "standard_normal": 0.0, "random": 0.5}[draw]
    samples = getattr(generator, draw)(size=(1000, n))
    covered = np.mean([low <= truth <= high for low, high in map(median_interval, samples)])
    rank = int(np.searchsorted(np.arange(n), median_interval(range(n))[0]))
    nominal = 1 - 2 * sum(math.comb(n, k) for k in range(rank + 1)) / 2**n
    narrower = nominal - 2 * math.comb(n, rank + 1) / 2**n
    assert narrower < 0.95 <= nominal
    assert abs(covered - nominal) < 4 * math.sqrt(nominal * (1 - nominal) / 1000)


def test_the_given_reference_is_what_is_timed() -> None:
    network, other = convolutions(8), convolutions(16)
    meter = LatencyMeter(DEVICE, references=[network])
    found = meter(network)
    assert found.median_ms == pytest.approx(meter.reference_ms[0], rel=0.1)  # however busy the machine
    again = LatencyMeter(DEVICE, references=[network], reference_ms=[2 * meter.reference_ms[0]])(network)
    assert again.median_ms == pytest.approx(2 * meter.reference_ms[0], rel=0.1)
    first, second = LatencyMeter(DEVICE, references=[network, other]).reference_ms
    assert first < second
    with pytest.raises(ValueError, match="shorter"):
        LatencyMeter(DEVICE, references=[network, other], reference_ms=[1.0])


def test_interval_needs_six_values() -> None:
    assert median_interval([3, 1, 2, 6, 5, 4]) == (1, 6)
    with pytest.raises(ValueError, match="takes 6"):
        median_interval([1, 2, 3, 4, 5])


@pytest.mark.parametrize("sigma", [0.02, 0.07])
def test_measurement_covers_the_truth_although_it_stops_when_narrow(sigma: float) -> None:
    machine = Machine(lognormal(sigma))
    meter = LatencyMeter(DEVICE, timer=machine, reference_ms=[1.0])  # the truth: what calibration misses is not in it
    machine.reference = meter._references[0]
    results = [meter(nn.Identity()) for _ in range(200)]
    covered = np.mean([latency.low_ms <= TRUE_MS <= latency.high_ms for latency in results])
    assert covered > 0.95 - 3 * math.sqrt(0.95 * 0.05 / 200)
    assert np.mean([latency.stable for latency in results]) > 0.95
    assert all(latency.high_ms - latency.low_ms <= 0.05 * latency.median_ms for latency in results if latency.stable)


def test_steady_machine_is_stable_and_quick() -> None:
    machine = Machine(lognormal(0.005))
    meter = LatencyMeter(DEVICE, timer=machine)
    started = machine.now_ms
    latency = meter(nn.Identity())
    assert latency.stable
    assert latency.reason == ""
    assert latency.median_ms == pytest.approx(TRUE_MS, rel=0.01)
    assert latency.device == DEVICE.id
    assert machine.now_ms - started < 400


@pytest.mark.parametrize("limit", [0.995, 1.005])
def test_near_a_limit_timings_go_on_until_it_is_clear_on_which_side_it_lies(limit: float) -> None:
    machine = Machine(lognormal(0.03))
    meter = LatencyMeter(DEVICE, timer=machine, max_seconds=20.0, reference_ms=[1.0])
    machine.reference = meter._references[0]
    far, near = meter(nn.Identity(), 2 * TRUE_MS), meter(nn.Identity(), limit * TRUE_MS)
    assert near.repeats > 2 * far.repeats
    assert near.high_ms < limit * TRUE_MS if limit > 1 else near.low_ms > limit * TRUE_MS


def test_noisy_measurement_says_so_and_ends_in_time() -> None:
    machine = Machine(lognormal(1.0))
    meter = LatencyMeter(DEVICE, timer=machine, max_seconds=0.5)
    started = machine.now_ms
    latency = meter(nn.Identity())
    assert not latency.stable
    assert "of the median, wanted 5%" in latency.reason
    assert "when it was calibrated" in latency.reason
    assert latency.low_ms < TRUE_MS < latency.high_ms
    assert machine.now_ms - started < 1000


@pytest.mark.parametrize("sigma", [0.01, 0.05])
def test_noise_floor_is_the_spread_of_short_measurements(sigma: float) -> None:
    generator = np.random.default_rng(0)
    floors = [noise_floor(np.exp(sigma * generator.standard_normal(300)).tolist(), 15) for _ in range(100)]
    medians = [np.median(np.exp(sigma * generator.standard_normal(15))) for _ in range(2000)]
    assert np.mean([floor for floor in floors if floor is not None]) == pytest.approx(np.std(medians), rel=0.1)
    assert noise_floor([1.0] * 59, 15) is None


def test_calibration_says_how_noisy_the_machine_is() -> None:
    quiet, noisy = (LatencyMeter(DEVICE, timer=Machine(lognormal(sigma))) for sigma in (0.002, 0.02))
    assert quiet.noise_floor is not None
    assert noisy.noise_floor is not None
    assert quiet.noise_floor < 0.002 < noisy.noise_floor < 0.02
    assert LatencyMeter(DEVICE, timer=Machine(lognormal(0.01)), reference_ms=[1.0]).noise_floor is None


def test_drift_is_seen_and_corrected() -> None:
    machine = Machine(lognormal(0.01), slowness=lambda now_ms: 1.6 if now_ms > 1200 else 1.0)
    meter = LatencyMeter(DEVICE, timer=machine)
    assert meter.reference_ms == pytest.approx([1.0], rel=0.01)
    machine.now_ms = 2000.0
    latency = meter(nn.Identity())
    assert latency.drift == pytest.approx(1.6, rel=0.02)
    assert latency.wall_ms == pytest.approx(1.6 * TRUE_MS, rel=0.02)
    assert latency.median_ms == pytest.approx(TRUE_MS, rel=0.02)
    assert not latency.stable
    assert "1.6" in latency.reason
    assert "calibrated time" in latency.reason


def test_speed_that_swings_within_a_measurement_cancels() -> None:
    machine = Machine(lognormal(0.01), slowness=lambda now_ms: 1.3 + 0.3 * math.sin(now_ms / 300))
    meter = LatencyMeter(DEVICE, timer=machine, reference_ms=[1.0])
    machine.reference = meter._references[0]
    latency = meter(nn.Identity())
    assert latency.median_ms == pytest.approx(TRUE_MS, rel=0.02)


def test_same_reference_makes_two_meters_agree() -> None:
    calm = LatencyMeter(DEVICE, timer=Machine(lognormal(0.01)))
    busy_machine = Machine(lognormal(0.01), slowness=lambda _: 2.0)
    busy = LatencyMeter(DEVICE, timer=busy_machine, reference_ms=calm.reference_ms)
    busy_machine.reference = busy._references[0]
    assert busy(nn.Identity()).median_ms == pytest.approx(calm(nn.Identity()).median_ms, rel=0.03)


class Numbered(nn.Module):
    """Its output says which network it is."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def forward(self, x: Tensor) -> Tensor:
        return x.new_tensor(self.number)


@pytest.mark.parametrize("slow", range(5))
def test_references_take_turns_so_that_the_slow_spell_of_one_averages_out(slow: int) -> None:
    generator, factors = np.random.default_rng(slow), [1.0] * 6

    def timer(call: Call, calls: int) -> Timing:
        number = int(cast(Tensor, call()))
        ms = TRUE_MS * (1 + number) * factors[number] * math.exp(0.005 * generator.standard_normal())
        return Timing(ms, ms)

    meter = LatencyMeter(DEVICE, timer=timer, references=[Numbered(i) for i in range(5)])
    assert meter.reference_ms == pytest.approx([TRUE_MS * (1 + i) for i in range(5)], rel=0.005)
    factors[slow] = 1.1
    latency = meter(Numbered(5))
    assert latency.median_ms == pytest.approx(TRUE_MS * 6, rel=0.01)
    assert latency.drift == pytest.approx(1, rel=0.01)
    single = LatencyMeter(DEVICE, timer=timer, references=[Numbered(slow)], reference_ms=[meter.reference_ms[slow]])
    assert single(Numbered(5)).median_ms == pytest.approx(TRUE_MS * 6 / 1.1, rel=0.01)


def test_caches_that_the_other_network_emptied_do_not_count() -> None:
    machine = Machine(lognormal(0.005), cold=3.0)
    meter = LatencyMeter(DEVICE, timer=machine)
    latency = meter(nn.Identity())
    assert latency.median_ms == pytest.approx(TRUE_MS, rel=0.01)
    assert latency.drift == pytest.approx(1.0, rel=0.01)


def test_short_calls_share_a_timing() -> None:
    machine = Machine(lognormal(0.01), network_ms=0.01)
    LatencyMeter(DEVICE, timer=machine)(nn.Identity())
    assert machine.most_calls * 0.01 >= 1.5


def test_refuses_to_measure_for_another_machine() -> None:
    with pytest.raises(UserError, match="measure there"):
        LatencyMeter(replace(DEVICE, name="another"))


def test_refuses_too_few_repeats() -> None:
    with pytest.raises(UserError, match=f"at least {FEWEST_REPEATS}"):
        LatencyMeter(DEVICE, min_repeats=FEWEST_REPEATS - 1)


def convolutions(depth: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 32, 1), *[nn.Conv2d(32, 32, 3, padding=1) for _ in range(depth)])


def test_four_times_the_work_takes_longer() -> None:
    meter = LatencyMeter.quick(DEVICE)
    assert meter(convolutions(16)).low_ms > 2 * meter(convolutions(4)).high_ms


THREADS = min(2, available_cores())


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Sleeping(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        time.sleep(0.004)
        return x


def test_waiting_that_the_network_chose_counts() -> None:
    assert LatencyMeter.quick(DEVICE)(Sleeping()).wall_ms >= 4
    assert thread_timer(lambda: time.sleep(0.004), 1).own_ms >= 4


@pytest.mark.usefixtures("one_thread")
@pytest.mark.skipif(sys.platform != "linux", reason="the time on the core is read on Linux only")
def test_time_that_other_processes_hold_the_core_does_not_count() -> None:
    x = torch.randn(300, 300)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        time.sleep(0.2)
        timing = thread_timer(lambda: x @ x, 500)
    finally:
        os.sched_setaffinity(0, cores)
        for hog in hogs:
            hog.kill()
            hog.wait()
    assert timing.own_ms < 0.7 * timing.wall_ms


def conditions() -> dict[str, object]:
    return {
        "threads": torch.get_num_threads(),
        "collecting": gc.isenabled(),
        "inference": torch.is_inference_mode_enabled(),
    }


class Probe(nn.Module):
    """Records the conditions of every call, and fails when told to."""

    def __init__(self, fail: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.bank = nn.Parameter(torch.zeros(2, 1, 1, 1, 1))  # more axes than an image has
        self.seen: list[dict[str, object]] = []
        self.fail = fail

    def __deepcopy__(self, memo: object) -> Probe:
        twin = Probe(self.fail)
        twin.seen = self.seen
        return twin

    def forward(self, x: Tensor) -> Tensor:
        if self.fail:
            raise RuntimeError("broken on purpose")
        innermost = x.is_contiguous(memory_format=torch.channels_last)
        self.seen.append({"shape": tuple(x.shape), "dtype": x.dtype, "innermost": innermost, "train": self.training})
        self.seen[-1] |= conditions()
        return x


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("fail", [False, True])
def test_runs_as_the_device_says_and_leaves_everything_as_it_was(fail: bool) -> None:
    device = this_device((3, 16, 16), batch_size=4, dtype="bfloat16", channels_last=True, threads=THREADS)
    probe = Probe(fail).train()

    def timer(call: Call, calls: int) -> Timing:
        if call is not meter._references[0]:  # two threads on a busy machine would make it take seconds
            call()
        return Timing(1.0, 1.0)

    meter = LatencyMeter(device, reference_ms=[1.0], timer=timer)
    if fail:
        with pytest.raises(RuntimeError, match="broken on purpose"):
            meter(probe)
    else:
        meter(probe)
        wanted = {"shape": (4, 3, 16, 16), "dtype": torch.bfloat16, "innermost": True, "train": False}
        wanted |= {"threads": THREADS, "collecting": False, "inference": True}
        assert all(seen == wanted for seen in probe.seen)
        assert len(probe.seen) > 9
    assert conditions() == {"threads": 1, "collecting": True, "inference": False}
    assert probe.training
    assert all(p.dtype == torch.float32 and p.requires_grad for p in probe.parameters())


def test_backends_compute_the_same_and_measure() -> None:
    network = convolutions(2).eval()
    outputs = load(network, this_device((3, 16, 16), batch_size=2, backend="onnxruntime"))()
    eager = load(network, this_device((3, 16, 16), batch_size=2))()
    assert isinstance(outputs, list)
    assert isinstance(eager, Tensor)
    torch.testing.assert_close(torch.from_numpy(outputs[0]), eager, rtol=1e-4, atol=1e-5)


def test_measures_an_onnx_file(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    shape: list[str | int] = ["batch", 3, 16, 16]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Sin", ["x"], ["y"])], "sine", ends[:1], ends[1:])
    onnx.save(onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 20)]), path)

    def measure(batch_size: int) -> Latency:
        device = this_device((3, 16, 16), batch_size=batch_size, backend="onnxruntime")
        return LatencyMeter.quick(device, reference_ms=[1.0])(path)

    assert 0 < 4 * measure(4).high_ms < measure(256).low_ms
    with pytest.raises(UserError, match=r"needs device\.backend='onnxruntime'"):
        load(path, DEVICE)
    with pytest.raises(UserError, match=r"takes inputs of shape \['batch', 3, 16, 16\]"):
        load(path, this_device((3, 8, 8), backend="onnxruntime"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_measures_on_a_gpu() -> None:
    device = this_device((3, 16, 16), kind="cuda", batch_size=64)
    assert timer_for(device) is cuda_timer
    meter = LatencyMeter.quick(device)
    assert meter(convolutions(16)).low_ms > meter(convolutions(4)).high_ms

"""What each policy promises: its law of drawing, what it learns, and that a resumed run goes on with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from search_space import Architecture, SearchSpace, UserError, read_space
from supernet.cost import cost, counts, peak_bytes
from supernet.network import Task
from supernet.policies import POLICIES, policy
from supernet.policies.attentive import NUM_CANDIDATES
from supernet.policies.complexity import Complexity
from supernet.policies.compute import flops_of_a_step
from supernet.policies.generator import TOLERANCE, generate
from supernet.policies.multi_architecture import WARMUP
from supernet.policies.policy import Draw
from supernet.policies.progressive import DEPTH, EPOCHS, FULL, KERNEL, SHORT
from supernet.policies.shift import LEARNING_RATE, NUM_BINS, NUM_WINDOWS, Shift
from supernet.registry import catalogue
from supernet.settings import TrainingSettings
from supernet.supernet import Supernet
from supernet.training import Training
from tests.spaces import TASKS, every_component

STAGE = {"width": [8, 12, 16, 20], "depth": [1, 2, 3]}
TABLE: dict[str, Any] = {
    "stem": {"patch": {"stride": 2}},
    "mixer": {"pooling": {}, "depthwise": {"kernel_size": [3, 5, 7]}},
    "ffn": {"mlp": {"expansion": [1, 2, 3]}},
    "stages": [STAGE, STAGE | {"downsample": {"patch": {"stride": 2}}}],
}
SPACE = read_space(TABLE, catalogue())
ONE_KIND = read_space(TABLE | {"mixer": {"depthwise": {"kernel_size": [3, 5, 7]}}}, catalogue())
TASK = Task((1, 9, 11), 5)


def made_up_flops(architecture: Architecture) -> int:
    """Grows with every decision, and adds up over the parts, as FLOPs do; immediate."""
    total = 0
    for stage in architecture.stages:
        options = [
            value
            for block in stage.blocks
            for slot in (block.mixer, block.gate, block.ffn)
            for _, value in slot.options
        ]
        total += stage.width * (10 + 5 * len(stage.blocks) + sum(map(int, options)))
    return total


def no_loss(_: Architecture) -> float:
    raise AssertionError("this policy has no need of losses")


def a_draw(
    step: int = 0,
    progress: float = 0.0,
    space: SearchSpace = SPACE,
    loss: Callable[[Architecture], float] = no_loss,
) -> Draw:
    return Draw(space, np.random.default_rng((0, step)), progress, loss, made_up_flops)


def values(architectures: list[Architecture]) -> dict[str, set[Any]]:
    """Every value that was drawn, by the last word of the decision's name."""
    drawn: dict[str, set[Any]] = {}
    for architecture in architectures:
        for name, value in SPACE.choices(architecture).items():
            drawn.setdefault(name.rpartition(".")[2], set()).add(value)
    return drawn


@pytest.mark.parametrize("name", TASKS)
def test_the_parts_of_an_architecture_add_up_to_what_it_costs(name: str) -> None:
    task, generator = TASKS[name], np.random.default_rng(0)
    counted = counts(task)
    space = every_component(stem="patch")
    for architecture in [space.sample(generator) for _ in range(5)]:
        expected = asdict(cost(architecture, task)) | {"peak_bytes": peak_bytes(architecture, task)}
        assert {metric: count(architecture) for metric, count in counted.items()} == expected


def test_norms_and_residuals_may_cost_something_and_parts_are_counted_once() -> None:
    space = read_space(TABLE | {"norm": ["layer", "rms"], "residual": ["pre_norm", "post_norm"]}, catalogue())
    counted = []

    def flops(architecture: Architecture) -> int:
        counted.append(architecture)
        each = len(architecture.norm.name) * len(architecture.residual.name)
        return made_up_flops(architecture) + each * (1 + sum(len(s.blocks) * s.width for s in architecture.stages))

    generator, complexity = np.random.default_rng(0), Complexity(flops)
    architectures = [space.sample(generator) for _ in range(500)]
    found = [complexity(a) for a in architectures]
    num_counted = len(counted)
    assert found == [flops(a) for a in architectures]
    num_widths, num_frames, num_components = len(STAGE["width"]), 2 * 2, 1 + 3 + 3
    assert num_counted <= num_frames * num_widths**2 + 2 * num_widths * (1 + 2 * num_frames + num_components)


def test_the_generator_hits_the_wanted_flops_with_ever_other_architectures() -> None:
    ends = made_up_flops(SPACE.smallest()), made_up_flops(SPACE.largest())
    generator = np.random.default_rng(0)
    for wanted in np.linspace(*ends, 12)[1:-2]:
        drawn = [generate(SPACE, made_up_flops, wanted, generator) for _ in range(20)]
        assert all(abs(made_up_flops(a) - wanted) <= TOLERANCE * wanted for a in drawn)
        assert len({a.id for a in drawn}) >= 15
        assert all(a in SPACE for a in drawn)


def test_the_generator_comes_close_to_what_cannot_be_had() -> None:
    generator = np.random.default_rng(0)
    assert generate(ONE_KIND, made_up_flops, 0, generator) == ONE_KIND.smallest()
    assert generate(ONE_KIND, made_up_flops, 10**9, generator) == ONE_KIND.largest()


def bins_of(architectures: list[Architecture]) -> list[int]:
    edges = np.linspace(made_up_flops(ONE_KIND.smallest()), made_up_flops(ONE_KIND.largest()), NUM_BINS + 1)
    return [int(np.digitize(made_up_flops(a), edges[1:-1])) for a in architectures]


def test_shift_starts_with_every_complexity_equally_often_where_uniform_sampling_avoids_the_ends() -> None:
    shift, uniform = policy("shift", 4), policy("uniform", 4)
    shifted = Counter(b for step in range(100) for b in bins_of(shift(a_draw(step, space=ONE_KIND))))
    sampled = Counter(b for step in range(100) for b in bins_of(uniform(a_draw(step, space=ONE_KIND))))
    assert all(30 <= shifted[b] <= 75 for b in range(NUM_BINS))
    assert sampled[NUM_BINS - 1] < 5


def test_log_uniform_trains_every_size_equally_often() -> None:
    log_uniform = policy("log_uniform", 4)
    low, high = (np.log(made_up_flops(end)) for end in (ONE_KIND.smallest(), ONE_KIND.largest()))
    drawn = [a for step in range(100) for a in log_uniform(a_draw(step, space=ONE_KIND))]
    shares = (np.log([made_up_flops(a) for a in drawn]) - low) / (high - low)
    assert kstest(shares, "uniform").pvalue > 0.01
    uniform = [a for step in range(100) for a in policy("uniform", 4)(a_draw(step, space=ONE_KIND))]
    assert kstest((np.log([made_up_flops(a) for a in uniform]) - low) / (high - low), "uniform").pvalue < 1e-6


def test_the_flops_of_a_step_are_those_of_what_sees_a_row() -> None:
    smallest, largest = (made_up_flops(end) for end in (ONE_KIND.smallest(), ONE_KIND.largest()))

    def of(name: str, num_subnets: int) -> float:
        return flops_of_a_step(policy(name, num_subnets), ONE_KIND, made_up_flops)

    assert of("sandwich", 2) == smallest + largest
    assert of("sandwich", 5) == pytest.approx(smallest + largest + 3 * of("uniform", 1), rel=0.05)
    assert of("sorted", 4) == pytest.approx(of("sorted", 1), rel=0.1)
    assert largest < of("progressive", 2) < 2 * largest
    assert largest < of("best_up", 3)


def run_shift(drops: np.ndarray[Any, Any], num_windows: int) -> tuple[Shift, list[dict[int, float]]]:
    """The loss of bin b falls by `drops[b]` in each window; also the loss of each bin in each window."""
    shift = Shift(4)
    seen: list[dict[int, float]] = []
    for window in range(num_windows):
        seen.append({})
        for step in range(20):
            drawn = shift(a_draw(20 * window + step, (window + 0.5) / NUM_WINDOWS, ONE_KIND))
            losses = {b: float(5 - drops[b] * window) for b in bins_of(drawn)}
            shift.learn(drawn, [losses[b] for b in bins_of(drawn)])
            seen[-1] |= losses
    return shift, seen


def test_shift_follows_adam_down_the_expected_change_of_loss() -> None:
    """Parity with autograd and torch.optim.Adam on equation 8 of the paper."""
    shift, seen = run_shift(np.linspace(0.1, 0.3, NUM_BINS) ** 2, num_windows=6)
    logits = torch.zeros(NUM_BINS, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=LEARNING_RATE)
    for before, after in pairwise(seen[:-1]):
        change = torch.tensor([after[b] - before[b] for b in range(NUM_BINS)], dtype=torch.float64)
        optimizer.zero_grad()
        (logits.softmax(dim=0) * change).sum().backward()
        optimizer.step()
    torch.testing.assert_close(shift.probabilities(), logits.detach().softmax(dim=0))


def test_shift_goes_to_complexities_whose_loss_still_falls() -> None:
    low, high = slice(None, NUM_BINS // 2), slice(NUM_BINS // 2, None)
    shift, _ = run_shift(np.repeat([0.0, 0.05], NUM_BINS // 2), num_windows=10)
    probabilities = shift.probabilities()
    assert probabilities[high].min() > 3 * probabilities[low].max()
    drawn = [b for step in range(50) for b in bins_of(shift(a_draw(step, 9.5 / NUM_WINDOWS, ONE_KIND)))]
    assert sum(b >= NUM_BINS // 2 for b in drawn) > 140


def test_shift_stays_where_all_losses_fall_alike_and_where_there_is_one_complexity() -> None:
    shift, _ = run_shift(np.full(NUM_BINS, 0.25), num_windows=5)
    torch.testing.assert_close(shift.probabilities(), torch.full((NUM_BINS,), 1 / NUM_BINS, dtype=torch.float64))
    lone, space = Shift(2), SearchSpace.only(SPACE.smallest())
    for step in range(10):
        lone.learn(lone(a_draw(step, step / 10, space)), [1.0, 2.0 - step])
    assert lone.probabilities().unique().numel() == 1


def test_multi_architecture_gives_every_option_as_many_parts_of_the_batch() -> None:
    for num_subnets, fewest, most in ((4, 1, 2), (6, 2, 2), (2, 1, 1)):
        for step in range(10):
            drawn = policy("multi_architecture", num_subnets)(a_draw(step, progress=WARMUP))
            counts = Counter(a.stages[0].blocks[0].ffn.options for a in drawn)
            assert (min(counts.values()), max(counts.values())) == (fewest, most)


def test_multi_architecture_deals_each_decision_anew() -> None:
    def expansions(step: int) -> list[Any]:
        drawn = policy("multi_architecture", 4)(a_draw(step, progress=WARMUP))
        return [a.stages[0].blocks[0].ffn.options for a in drawn]

    alike = {tuple(i for i in range(4) if e.count(e[i]) == 2) for e in map(expansions, range(60))}
    assert len(alike) == 6


def test_multi_architecture_begins_with_the_largest_numbers_of_every_kind() -> None:
    def drawn(progress: float) -> dict[str, set[Any]]:
        return values([a for step in range(20) for a in policy("multi_architecture", 4)(a_draw(step, progress))])

    assert drawn(0.0) == {
        "width": {20},
        "depth": {3},
        "mixer": {"pooling", "depthwise"},
        "kernel_size": {7},
        "expansion": {3},
    }
    half = drawn(0.51 * WARMUP)
    assert (half["width"], half["depth"]) == ({16, 20}, {2, 3})
    assert drawn(WARMUP)["width"] == {8, 12, 16, 20}


@pytest.mark.parametrize("name", ["multi_architecture", "sorted"])
def test_a_step_over_parts_of_the_batch_is_one_over_the_whole_for_equal_subnets(name: str) -> None:
    space, generator = SearchSpace.only(SPACE.largest()), torch.Generator().manual_seed(0)
    x, labels = torch.randn(6, *TASK.input_shape, generator=generator), torch.arange(6) % TASK.num_classes
    weights, sizes = [], []
    for settings in (TrainingSettings(policy=name, subnets_per_step=3), TrainingSettings("uniform", 1)):
        run = Training(Supernet(space, TASK, seed=1), settings, num_steps=2, seed=0)
        run.supernet.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
        run.train_step(x, labels)
        weights.append(run.weights())
    assert sizes == [2, 2, 2, 6]
    for weight_name, weight in weights[0].items():
        torch.testing.assert_close(weight, weights[1][weight_name], rtol=1e-3, atol=1e-4)


KERNELS, DEPTHS, EXPANSIONS, WIDTHS = {3, 5, 7}, {1, 2, 3}, {1, 2, 3}, {8, 12, 16, 20}
PHASES: dict[str, tuple[float, tuple[set[int], set[int], set[int], set[int]]]] = {
    "full": (FULL - 1, ({7}, {3}, {3}, {20})),
    "kernel": (FULL, (KERNELS, {3}, {3}, {20})),
    "two depths": (FULL + KERNEL, (KERNELS, {2, 3}, {3}, {20})),
    "every depth": (FULL + KERNEL + SHORT, (KERNELS, DEPTHS, {3}, {20})),
    "two widths": (FULL + KERNEL + DEPTH, (KERNELS, DEPTHS, {2, 3}, {16, 20})),
    "everything": (FULL + KERNEL + DEPTH + SHORT, (KERNELS, DEPTHS, EXPANSIONS, WIDTHS)),
}


@pytest.mark.parametrize(("epoch", "expected"), PHASES.values(), ids=PHASES)
def test_progressive_opens_kernels_then_depths_then_widths(epoch: float, expected: tuple[set[int], ...]) -> None:
    steps = [policy("progressive", 4)(a_draw(step, (epoch + 0.01) / EPOCHS)) for step in range(40)]
    found = values([a for step in steps for a in step])
    assert tuple(found[name] for name in ("kernel_size", "depth", "expansion", "width")) == expected
    assert found["mixer"] == {"pooling", "depthwise"}
    assert all({stage.width for stage in step[0].stages} == {20} for step in steps)


def test_progressive_trains_equal_architectures_once() -> None:
    assert policy("progressive", 4)(a_draw(space=ONE_KIND)) == [ONE_KIND.largest()]
    assert len(policy("progressive", 4)(a_draw(space=ONE_KIND, progress=0.99))) == 4


@pytest.mark.parametrize(("name", "pick"), [("best_up", min), ("worst_up", max)])
def test_attentive_sampling_takes_the_best_or_worst_of_like_flops(name: str, pick: Callable[..., float]) -> None:
    for step in range(20):
        asked: list[Architecture] = []

        def loss(architecture: Architecture, asked: list[Architecture] = asked) -> float:
            asked.append(architecture)
            return int(architecture.id, 16) / 16**16

        largest, smallest, *between = policy(name, 4)(a_draw(step, space=ONE_KIND, loss=loss))
        assert (largest, smallest) == (ONE_KIND.largest(), ONE_KIND.smallest())
        assert len(asked) == NUM_CANDIDATES * len(between) == 6
        for i, chosen in enumerate(between):
            candidates = asked[NUM_CANDIDATES * i : NUM_CANDIDATES * (i + 1)]
            assert loss(chosen) == pick(map(loss, candidates))
            wanted = made_up_flops(candidates[0])
            assert all(abs(made_up_flops(a) - wanted) <= TOLERANCE * wanted for a in candidates)
            assert len({a.id for a in candidates}) > 1


@pytest.mark.parametrize("name", POLICIES)
def test_too_few_architectures_are_refused(name: str) -> None:
    fewest = POLICIES[name].fewest
    assert len(policy(name, fewest)(a_draw(loss=lambda _: 0.0))) == fewest
    with pytest.raises(
        UserError, match=rf"subnets_per_step={fewest - 1} is too few for {name}; give at least {fewest}"
    ):
        policy(name, fewest - 1)


@pytest.mark.parametrize("name", POLICIES)
def test_a_recipe_that_names_only_the_policy_takes_its_usual_number(name: str) -> None:
    usual = POLICIES[name].usual
    assert len(policy(name)(a_draw(loss=lambda _: 0.0))) == usual >= POLICIES[name].fewest
    assert policy(name, usual + 1).num_subnets == usual + 1
    TrainingSettings(policy=name)


def random_batches(step: int) -> Any:
    while True:
        generator = torch.Generator().manual_seed(step)
        labels = torch.randint(TASK.num_classes, (8,), generator=generator)
        yield torch.randn(8, *TASK.input_shape, generator=generator), labels
        step += 1


@pytest.mark.parametrize("name", ["shift", "best_up"])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path, name: str) -> None:
    def training(seed: int) -> Training:
        settings = TrainingSettings(policy=name, subnets_per_step=4, checkpoint_steps=100)
        return Training(Supernet(SPACE, TASK, seed=seed), settings, num_steps=8, seed=7)

    straight, stopped, resumed = training(0), training(0), training(99)
    assert straight.run(random_batches)
    assert not stopped.run(random_batches, checkpoint=tmp_path / "stopped", stop=lambda: stopped.step == 5)
    resumed.restore(tmp_path / "stopped")
    assert resumed.run(random_batches)
    learned = straight.policy.state_dict()
    assert name != "shift" or learned["logits"].any()
    for a, b in ((straight.weights(), resumed.weights()), (learned, resumed.policy.state_dict())):
        assert all(torch.equal(a[key], b[key]) for key in a)

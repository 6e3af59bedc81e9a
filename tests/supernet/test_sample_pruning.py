"""Sample pruning: which rows a pass visits, whose losses it goes by, and a resumed run that goes on in its middle."""

from __future__ import annotations

import math
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from torch.nn import functional as F

from search_space import UserError, read_space
from supernet.checkpoint import load_tensors
from supernet.data import Split, batches, epoch_order
from supernet.distributed import Group
from supernet.policies import POLICIES
from supernet.registry import catalogue
from supernet.sample_pruning import CLUSTERS, WINDOW, SamplePruning, easy_to_hard, row_losses
from supernet.settings import TrainingSettings
from supernet.supernet import Supernet
from supernet.training import Training
from tests.spaces import TASKS

TASK = TASKS["2-D"]
SMALL = read_space(
    {"stem": "patch", "mixer": ["pooling", "depthwise"], "ffn": "mlp", "stages": [{"width": [8, 16], "depth": [1, 2]}]},
    catalogue(),
)
NUM_ROWS, BATCH, NUM_STEPS = 31, 6, 32


def split() -> Split:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(NUM_ROWS, *TASK.input_shape, generator=generator)
    labels = torch.randint(5, (NUM_ROWS,), generator=generator)
    channels = torch.zeros(TASK.input_shape[0])
    return Split(images, labels, channels, channels + 1)


def training(seed: int = 0, **changes: Any) -> Training:
    given = {"policy": "sandwich", "subnets_per_step": 3, "batch_size": BATCH, "sample_pruning": 0.2, **changes}
    supernet = Supernet(SMALL, TASK, seed=seed)
    return Training(supernet, TrainingSettings(**given), NUM_STEPS, seed=7, num_rows=NUM_ROWS)


def batches_of(run: Training, spoilt: int | None = None) -> Any:
    """Those of the split; the batch of the step `spoilt` gives no finite loss."""

    def from_step(step: int) -> Any:
        for number, (x, labels) in enumerate(batches(split(), BATCH, run.seed, step, pass_of=run.pruning), step):
            yield (torch.full_like(x, math.nan) if number == spoilt else x), labels

    return from_step


def pruning(share: float, num_rows: int, batch_size: int, num_steps: int) -> SamplePruning:
    return SamplePruning(TrainingSettings(sample_pruning=share, batch_size=batch_size), num_rows, num_steps, 3, 10)


def has_reached(run: Training, step: int) -> bool:
    return run.step == step


@given(st.lists(st.floats(0, 20, width=32), min_size=1, max_size=60))
def test_clusters_are_intervals_in_rising_order(losses: list[float]) -> None:
    values = np.array(losses, np.float32)
    cluster = easy_to_hard(values, CLUSTERS)
    assert set(cluster) <= set(range(CLUSTERS))
    assert (np.diff(cluster[np.argsort(values)]) >= 0).all()


@pytest.mark.parametrize("scale", [0.1, 1.0, 1.5])
def test_clusters_are_those_of_k_means(scale: float) -> None:
    """Parity with scikit-learn from the same means, on losses that most rows have low."""
    losses = np.exp(np.random.default_rng(0).normal(-2, scale, 2000)).astype(np.float32)
    means = np.quantile(losses.astype(float), (np.arange(CLUSTERS) + 0.5) / CLUSTERS)[:, None]
    reference = KMeans(CLUSTERS, init=means, n_init=1, tol=0, max_iter=1000).fit(losses[:, None].astype(float))
    assert (easy_to_hard(losses, CLUSTERS) == reference.labels_).all()


def test_a_window_slides_over_the_clusters_of_what_a_random_share_leaves() -> None:
    """Every pass written out: rows whose loss is 0, 10, 20, 30 or 40 nats are the clusters."""
    difficulty = torch.arange(203) % CLUSTERS * 10.0
    ours = pruning(0.25, 203, 10, 100)
    passes = {}
    for step in range(100):
        first, rows = ours(step)
        if first == step:
            passes[step] = rows.tolist()
        ours.losses.copy_(difficulty)
    for number, (begins, rows) in enumerate(passes.items()):
        kept = epoch_order(203, 3, number)[:152].tolist()
        start = (number - 1) % (CLUSTERS - WINDOW + 1)
        if number and begins < 88:
            kept = [row for row in kept if start <= row % CLUSTERS < start + WINDOW]
        assert rows == (kept if begins >= 88 else kept[: (88 - begins) * 10])
    assert 88 in passes


def test_a_row_not_visited_yet_has_the_loss_of_chance() -> None:
    """After one pass over half of the rows, all of them easy, the first window leaves out what nobody has seen."""
    ours = pruning(0.5, 100, 10, 1000)
    seen: set[int] = set()
    for step in range(5):
        _, rows = ours(step)
        seen |= set(rows[step * 10 : step * 10 + 10].tolist())
        ours.learn(step, torch.linspace(0, 0.1, 10))
    assert ours.losses[[row for row in range(100) if row not in seen]].unique().tolist() == pytest.approx(
        [math.log(10)]
    )
    first, rows = ours(5)
    assert first == 5
    assert set(rows.tolist()) == seen & set(epoch_order(100, 3, 1)[:50].tolist())


def test_a_window_of_less_than_a_batch_is_left_open() -> None:
    ours = pruning(0.1, 100, 50, 1000)
    ours(0)
    ours.learn(0, torch.zeros(50))
    ours.losses.zero_()
    ours.losses[:5] = torch.arange(1.0, 6.0)
    assert len(ours(1)[1]) >= 50
    first, rows = ours(2)
    assert (first, len(rows)) == (2, 90)


def test_a_share_that_leaves_less_than_a_batch_is_refused() -> None:
    pruning(0.5, 20, 10, 8)
    with pytest.raises(UserError, match=r"supernet\.sample_pruning=0\.55 keeps 9 of 20 training rows, less than one b"):
        pruning(0.55, 20, 10, 8)


@pytest.mark.parametrize("name", POLICIES)
def test_the_loss_of_a_row_is_the_mean_over_the_subnets_that_saw_it(name: str) -> None:
    """Parity with the definition, on the weights before the step; rows of other batches keep theirs."""
    run = training(policy=name, label_smoothing=0.2, distillation=0.9)
    assert run.pruning
    x, labels = next(batches_of(run)(0))
    rows = run.pruning.rows[:BATCH]
    subnets = run.policy(run._draw(x, labels))
    parts = len(subnets) if run.policy.splits_batch else 1
    expected = torch.zeros(BATCH)
    for number, architecture in enumerate(subnets):
        part = torch.arange(BATCH).tensor_split(parts)[number % parts]
        with torch.no_grad():
            logits = run.supernet.extract(architecture).train()(x[part])
        expected[part] += F.cross_entropy(logits, labels[part], reduction="none") / (len(subnets) // parts)
    run = training(policy=name, label_smoothing=0.2, distillation=0.9)
    assert run.pruning
    run.run(batches_of(run), stop=partial(has_reached, run, 1))
    torch.testing.assert_close(run.pruning.losses[rows], expected)
    others = np.setdiff1d(np.arange(NUM_ROWS), rows)
    assert run.pruning.losses[others].unique().tolist() == pytest.approx([math.log(TASK.num_classes)])


@pytest.mark.parametrize(("num_subnets", "parts"), [(3, 1), (3, 3)])
def test_the_losses_of_two_processes_sum_to_those_of_one(num_subnets: int, parts: int) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(num_subnets, 17, 5, generator=generator)
    labels = torch.randint(5, (17,), generator=generator)

    def of(group: Group) -> torch.Tensor:
        places = [group.share(part) for part in torch.arange(17).tensor_split(parts)]
        own = [(logits[i][places[i % parts]], labels[places[i % parts]]) for i in range(num_subnets)]
        return row_losses(own, 17, parts, group)

    assert torch.equal(of(Group(0, 2)) + of(Group(1, 2)), of(Group()))


@pytest.mark.parametrize("policy", ["sandwich", "multi_architecture"])
def test_a_run_resumed_anywhere_ends_with_the_same_bits(tmp_path: Path, policy: str) -> None:
    """At the ends of passes and in their middle; step 9 has no finite loss and teaches nothing about its rows."""
    straight = training(policy=policy)
    assert straight.run(batches_of(straight, spoilt=9), checkpoint=tmp_path / "straight")
    assert straight.pruning and straight.pruning.num_passes > NUM_STEPS // (0.8 * NUM_ROWS // BATCH)
    for stop_at in (1, 4, 5, 9, 10, 28, 31):
        path = tmp_path / f"stopped{stop_at}"
        first = training(policy=policy)
        assert not first.run(batches_of(first, 9), checkpoint=path, stop=partial(has_reached, first, stop_at))
        second = training(99, policy=policy)
        second.restore(path)
        assert second.run(batches_of(second, 9), checkpoint=path)
        a, b = load_tensors(tmp_path / "straight")[0], load_tensors(path)[0]
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)
        assert second.pruning and torch.equal(second.pruning.losses, straight.pruning.losses)


def test_a_step_that_is_skipped_teaches_nothing_about_its_rows() -> None:
    run = training()
    assert run.pruning
    run.run(batches_of(run), stop=partial(has_reached, run, 2))
    before = run.pruning.losses.clone()
    run.run(batches_of(run, spoilt=2), stop=partial(has_reached, run, 3))
    assert run.num_skipped == 1
    assert torch.equal(run.pruning.losses, before)


def test_without_it_a_checkpoint_knows_of_no_rows_and_batches_are_those_of_epochs(tmp_path: Path) -> None:
    run = training(sample_pruning=0.0)
    run.run(batches_of(run), checkpoint=tmp_path / "plain", stop=partial(has_reached, run, 2))
    assert run.pruning is None
    assert not [name for name in load_tensors(tmp_path / "plain")[0] if name.startswith("pruning/")]
    for ours, epochs in zip(islice(batches_of(run)(0), 9), batches(split(), BATCH, 7), strict=False):
        assert torch.equal(ours[0], epochs[0])

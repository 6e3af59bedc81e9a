"""The loop and the optimizer: parity with plain PyTorch, exact resume, and a supernet that learns."""

from __future__ import annotations

import math
from collections.abc import Callable, Container
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from search_space import Architecture, SearchSpace, UserError
from supernet.checkpoint import content_hash, load_tensors, save_tensors
from supernet.cost import flops_of_parts
from supernet.data import DataConfig, batches, in_order, load_data
from supernet.evaluation import evaluate, recalibrate
from supernet.losses import subnet_loss
from supernet.network import Network, Task
from supernet.optimizer import BETAS, EPSILON, SubnetAdamW
from supernet.orthogonality import soft_orthogonality
from supernet.policies import POLICIES, policy
from supernet.policies.policy import Draw
from supernet.settings import HINTS, TrainingSettings
from supernet.slicing import cut
from supernet.stochastic_depth import Uniform, drop_paths
from supernet.supernet import Supernet
from supernet.training import PATIENCE, Training, load_weights
from tests.spaces import TASKS, every_component

TASK = TASKS["2-D"]
SMALL = every_component(mixer=["pooling", "depthwise"], norm="layer", gate=["none", "efficient_channel"], stem="patch")


def random_batch(seed: int = 0, task: Task = TASK) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, *task.input_shape, generator=generator), torch.randint(5, (6,), generator=generator)


def batches_of(task: Task = TASK) -> Any:
    def from_step(step: int) -> Any:
        while True:
            yield random_batch(step, task)
            step += 1

    return from_step


def training(
    supernet: Supernet | None = None, num_steps: int = 8, teacher: nn.Module | None = None, **changes: Any
) -> Training:
    given = {"policy": "sandwich", "subnets_per_step": 3, "checkpoint_steps": 3}
    settings = TrainingSettings(**{**given, "teacher": "somewhere" if teacher else None, **changes})
    return Training(supernet or Supernet(SMALL, TASK), settings, num_steps, seed=7, teacher=teacher)


def a_teacher() -> nn.Module:
    torch.manual_seed(5)
    size = math.prod(TASK.input_shape)
    return nn.Sequential(nn.Flatten(), nn.Linear(size, 8), nn.Dropout(), nn.Linear(8, TASK.num_classes))


def a_teacher_with_stages() -> nn.Module:
    torch.manual_seed(5)
    return Network(every_component(mixer="attention", norm="batch", gate="none", stem="convolution").smallest(), TASK)


def nothing_but_nan(steps: Container[int]) -> Any:
    def from_step(step: int) -> Any:
        for i, (x, labels) in enumerate(batches_of()(step), step):
            yield (torch.full_like(x, math.nan) if i in steps else x), labels

    return from_step


def everything(run: Training) -> dict[str, torch.Tensor]:
    """Every tensor that a step may change, copied."""
    state = {f"weights/{name}": weight for name, weight in run.supernet.weights.items()}
    state |= {f"averages/{name}": average for name, average in run.averages.items()} | run.optimizer.state_dict()
    state |= run.hints.weights | {f"gradients/{name}": gradient for name, gradient in run.optimizer._tensors[1].items()}
    return {name: tensor.detach().clone() for name, tensor in (state | run.policy.state_dict()).items()}


def has_reached(run: Training, step: int) -> bool:
    return run.step == step


def test_the_optimizer_is_adamw_when_the_whole_network_is_one_subnet() -> None:
    """Parity with torch.optim.AdamW over ten steps, weights of one axis undecayed."""
    architecture = SMALL.largest()
    supernet = Supernet(SearchSpace.only(architecture), TASK)
    network = supernet.extract(architecture).train()
    optimizer = SubnetAdamW(dict(supernet.weights.items()), weight_decay=0.1)
    decayed = [p for p in network.parameters() if p.dim() > 1]
    rest = [p for p in network.parameters() if p.dim() <= 1]
    groups: list[dict[str, Any]] = [{"params": decayed, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    plain = torch.optim.AdamW(groups, lr=0.01, betas=BETAS, eps=EPSILON)
    for step in range(10):
        x, labels = random_batch(step)
        leaves = supernet.leaves_for(architecture)
        F.cross_entropy(supernet(x, architecture, leaves), labels).backward()
        optimizer.accumulate(supernet.skeleton(architecture)[1], leaves)
        norm = optimizer.clip(1.0)
        optimizer.step(0.01)
        plain.zero_grad()
        F.cross_entropy(network(x), labels).backward()
        assert norm == pytest.approx(float(torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)), rel=1e-4)
        plain.step()
    for name, weight in supernet.weights_for(architecture).items():
        torch.testing.assert_close(weight, network.get_parameter(name), rtol=1e-4, atol=1e-5)


def test_a_step_changes_nothing_outside_what_its_subnets_reach() -> None:
    supernet = Supernet(SMALL, TASK)
    optimizer = SubnetAdamW(dict(supernet.weights.items()), weight_decay=0.1)
    generator = np.random.default_rng(0)
    subnets = [SMALL.sample(generator) for _ in range(2)]
    before = {name: weight.detach().clone() for name, weight in supernet.weights.items()}
    for architecture in subnets:
        x, labels = random_batch()
        leaves = supernet.leaves_for(architecture)
        F.cross_entropy(supernet(x, architecture, leaves), labels).backward()
        optimizer.accumulate(supernet.skeleton(architecture)[1], leaves)
    optimizer.step(0.01)
    reached: dict[str, tuple[int, ...]] = {}
    centred: dict[str, tuple[int, ...]] = {}
    for architecture in subnets:
        for part in supernet.skeleton(architecture)[1]:
            old = reached.get(part.shared, part.shape)
            reached[part.shared] = tuple(max(a, b) for a, b in zip(old, part.shape, strict=True))
            centred[part.shared] = part.centred
    for name, weight in supernet.weights.items():
        changed = weight.detach() != before[name]
        if name not in reached:
            assert not changed.any()
        else:
            assert changed.count_nonzero() == cut(changed, reached[name], centred[name]).count_nonzero()
            assert cut(changed, reached[name], centred[name]).any()
    assert not optimizer.gradients()
    assert not any(gradient.any() for gradient in optimizer._tensors[1].values())


FLOPS = flops_of_parts(TASK)


def _draw(step: int, loss: Callable[[Architecture], float] = lambda _: 1.0) -> Draw:
    return Draw(SMALL, np.random.default_rng((0, step)), step / 20, loss, FLOPS)


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_draws_architectures_of_the_space_from_seed_and_step_alone(name: str) -> None:
    draw = policy(name, 3)
    for step in range(0, 20, 2):
        subnets = draw(_draw(step))
        assert len(subnets) == 3
        assert all(a in SMALL for a in subnets)
        assert subnets == draw(_draw(step))


def test_sandwich_trains_both_ends_and_sorted_trains_a_nested_chain() -> None:
    largest, smallest, _ = policy("sandwich", 3)(_draw(0))
    assert [s.width for s in largest.stages] == [24, 27]
    assert [s.width for s in smallest.stages] == [16, 16]
    widths = {tuple(s.width for s in a.stages) for step in range(30) for a in policy("sorted", 2)(_draw(step))}
    assert widths == {(16, 16), (21, 16), (21, 27), (24, 27)}


EVERYTHING_ON: dict[str, Any] = {
    "distillation_loss": "alpha",
    "ema_decay": 0.9,
    "label_smoothing": 0.1,
    "mixup": 0.3,
    "cutmix": 1.0,
    "drop_path": 0.4,
    "drop_path_schedule": "linear",
    "channel_sampling": True,
    "orthogonality": 0.01,
    "bias_loss": True,
}


HINTS_ON: dict[str, Any] = dict.fromkeys(HINTS, 0.5)


@pytest.mark.parametrize(
    ("changes", "taught"),
    [
        ({}, False),
        pytest.param(HINTS_ON, False, marks=pytest.mark.thorough),
        ({**HINTS_ON, **EVERYTHING_ON, "policy": "multi_architecture"}, True),
        ({"policy": "sorted", "ema_decay": 0.9}, False),
        pytest.param({"policy": "uniform"}, True, marks=pytest.mark.thorough),
        pytest.param(EVERYTHING_ON, False, marks=pytest.mark.thorough),
        pytest.param({**EVERYTHING_ON, "policy": "multi_architecture"}, True, marks=pytest.mark.thorough),
    ],
)
def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path, changes: dict[str, Any], taught: bool) -> None:
    """Batch 2 has no finite loss: the step that is skipped is skipped again."""
    teacher = a_teacher_with_stages() if taught else None
    data = nothing_but_nan(range(2, 3))
    straight = training(teacher=teacher, **changes)
    assert straight.run(data, checkpoint=tmp_path / "straight")
    for stop_at in (1, 3, 5):
        path = tmp_path / f"stopped{stop_at}"
        first = training(teacher=teacher, **changes)
        assert not first.run(data, checkpoint=path, stop=partial(has_reached, first, stop_at))
        second = training(Supernet(SMALL, TASK, seed=99), teacher=teacher, **changes)
        second.restore(path)
        assert second.step == stop_at
        assert second.run(data, checkpoint=path)
        a, b = load_tensors(tmp_path / "straight")[0], load_tensors(path)[0]
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)
        for row in (*straight.history, *second.history):
            row["seconds"] = row["cpu_seconds"] = 0.0
        assert second.history == straight.history
        assert second.history[-1]["skipped_steps"] == 1
        assert content_hash(second.hints.weights) == content_hash(straight.hints.weights)
        assert all(name.startswith("weights/") for name in a), "nothing but the supernet is left of a training"


def test_a_finished_run_has_the_averaged_weights_and_is_measured_with_them(tmp_path: Path) -> None:
    def total(supernet: Supernet) -> dict[str, float]:
        return {"total": sum(float(weight.detach().double().sum()) for weight in supernet.weights.values())}

    run, plain = training(ema_decay=0.9), training()
    run.run(batches_of(), checkpoint=tmp_path / "done", probe=total)
    plain.run(batches_of())
    stored = load_tensors(tmp_path / "done")[0]
    assert content_hash(run.weights()) == content_hash(run.averages) != content_hash(plain.weights())
    assert run.history[-1]["total"] == total(run.supernet)["total"]
    assert content_hash({n: stored[f"weights/{n}"] for n in run.averages}) == content_hash(run.averages)
    again = training(ema_decay=0.9)
    again.restore(tmp_path / "done")
    assert content_hash(again.weights()) == content_hash(run.averages)


def test_averaged_weights_forget_the_random_ones_in_a_short_training() -> None:
    """With a decay made for millions of steps, a run of 20 still ends nearer to its own weights than to the first."""
    run, plain = training(ema_decay=0.9999), training()
    first = plain.weights()["head/weight"].clone()
    run.run(batches_of())
    plain.run(batches_of())
    last, average = plain.weights()["head/weight"], run.weights()["head/weight"]
    assert (average - last).norm() < (average - first).norm()


def test_bfloat16_trains_and_differs() -> None:
    exact, mixed = training(num_steps=3), training(num_steps=3, precision="bfloat16")
    exact.run(batches_of())
    mixed.run(batches_of())
    assert mixed.history[-1]["loss_nats"] == pytest.approx(exact.history[-1]["loss_nats"], rel=0.1)
    assert mixed.history[-1]["loss_nats"] != exact.history[-1]["loss_nats"]
    assert all(w.dtype == torch.float32 for w in mixed.supernet.weights.values())


def test_the_learning_rate_rises_and_falls() -> None:
    run = training(num_steps=100, learning_rate=1.0, warmup=0.1)
    rates = [run.learning_rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert max(rates) == 1.0
    assert all(a >= b for a, b in pairwise(rates[10:]))
    assert rates[-1] < 0.01


def test_distillation_pulls_towards_the_teacher_with_the_gradient_of_the_kl_divergence() -> None:
    logits = torch.randn(4, 5, requires_grad=True)
    teacher = torch.randn(4, 5)
    labels = torch.tensor([0, 1, 2, 3])
    (mixed,) = torch.autograd.grad(subnet_loss(logits, labels, 0.0, teacher, 0.25), logits)
    (hard,) = torch.autograd.grad(F.cross_entropy(logits, labels), logits)
    divergence = F.kl_div(logits.log_softmax(1), teacher.softmax(1), reduction="batchmean")
    (soft,) = torch.autograd.grad(divergence, logits)
    torch.testing.assert_close(mixed, 0.75 * hard + 0.25 * soft)


def test_a_given_teacher_teaches_every_subnet_with_the_whole_weight_from_the_first_step() -> None:
    """With nothing but the teacher to learn from, labels do not matter; without one, those of the first subnet do."""
    other_labels = (random_batch(0)[1] + 1) % 5
    for teacher in (a_teacher(), None):
        weights = []
        for labels in (random_batch(0)[1], other_labels):
            run = training(num_steps=1, teacher=teacher, distillation=1.0)
            run.supernet.train()
            run.train_step(random_batch(0)[0], labels)
            weights.append(content_hash(run.weights()))
        assert (weights[0] == weights[1]) == (teacher is not None)


@pytest.mark.parametrize("name", POLICIES)
def test_each_subnet_learns_from_the_teacher_of_its_own_inputs(name: str) -> None:
    """Parity with the loss written out, for policies that split the batch and those that do not."""
    teacher, (x, labels) = a_teacher(), random_batch()
    run = training(policy=name, teacher=teacher, distillation=0.7)
    before = content_hash(dict(teacher.state_dict()))
    subnets = run.policy(run._draw(x, labels))
    parts = len(subnets) if run.policy.splits_batch else 1
    expected = []
    for number, architecture in enumerate(subnets):
        rows = torch.arange(6).tensor_split(parts)[number % parts]
        with torch.no_grad():
            logits = run.supernet.extract(architecture).train()(x[rows])
            soft = F.cross_entropy(logits, teacher.eval()(x)[rows].softmax(dim=1))
            expected.append(float(0.3 * F.cross_entropy(logits, labels[rows]) + 0.7 * soft))
    teacher.train()
    run = training(policy=name, teacher=teacher, distillation=0.7)
    run.supernet.train()
    run.train_step(x, labels)
    assert run.losses == pytest.approx(expected, rel=1e-5)
    assert content_hash(dict(teacher.state_dict())) == before


def test_settings_that_name_a_teacher_need_one() -> None:
    with pytest.raises(ValueError, match="give its network"):
        Training(Supernet(SMALL, TASK), TrainingSettings(teacher="somewhere"), 8, seed=7)


def test_the_divergence_is_the_one_that_the_settings_name() -> None:
    ends = [training(teacher=a_teacher(), distillation_loss=loss) for loss in ("kl", "alpha")]
    for run in ends:
        run.run(batches_of())
    assert content_hash(ends[0].weights()) != content_hash(ends[1].weights())


def test_only_the_subnet_that_teaches_drops_paths_and_the_rate_may_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []

    def spy(network: Network, rate: float, random: Uniform) -> Any:
        rates.append(rate)
        return drop_paths(network, rate, random)

    monkeypatch.setattr("supernet.recipe.drop_paths", spy)
    training(num_steps=2, drop_path=0.4).run(batches_of())
    assert rates == [0.4, 0, 0] * 2
    rates.clear()
    training(num_steps=4, policy="uniform", drop_path=0.4, drop_path_schedule="linear").run(batches_of())
    assert rates == pytest.approx([0.0] * 3 + [0.1] * 3 + [0.2] * 3 + [0.3] * 3)


@pytest.mark.parametrize(
    "recipe", [{"mixup": 0.5}, {"cutmix": 1.0}, {"drop_path": 0.4}, {"orthogonality": 0.1}, {"bias_loss": True}]
)
def test_every_recipe_changes_the_training_and_no_evaluation(recipe: dict[str, Any]) -> None:
    plain, changed = training(), training(**recipe)
    for run in (plain, changed):
        run.run(batches_of())
    assert content_hash(plain.weights()) != content_hash(changed.weights())
    x, architecture = random_batch()[0], SMALL.largest()
    supernet = changed.supernet.eval()
    assert torch.equal(supernet(x, architecture), supernet(x, architecture))
    assert torch.equal(supernet(x, architecture), supernet.extract(architecture)(x))


def test_channel_sampling_leaves_out_channels_of_the_batch() -> None:
    task = Task((3, 9, 11), 5)
    x, labels = random_batch(task=task)
    losses = []
    for sampling in (False, True):
        run = training(Supernet(SMALL, task), policy="uniform", subnets_per_step=1, channel_sampling=sampling)
        run.supernet.train()
        for step in range(3):
            run.train_step(x, labels)
            run.step = step + 1
        losses.append(run.losses)
    assert losses[0] != losses[1]


def test_the_penalty_is_added_to_what_is_minimised_and_not_to_the_loss_that_is_told() -> None:
    plain, penalised = (training(policy="uniform", learning_rate=1e-3, orthogonality=o) for o in (0.0, 1.0))
    distances = []
    for run in (plain, penalised):
        run.run(batches_of(), stop=partial(has_reached, run, 1))
    assert plain.losses == penalised.losses
    for run in (plain, penalised):
        run.run(batches_of())
        architecture = SMALL.largest()
        network = run.supernet.skeleton(architecture)[0]
        distances.append(float(soft_orthogonality(network, run.supernet.weights_for(architecture)).detach()))
    assert distances[1] < distances[0]


@pytest.mark.parametrize("cause", ["loss", "gradient", "hint"])
def test_a_step_without_finite_numbers_changes_nothing(cause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = training(ema_decay=0.9, **HINTS_ON)
    run.run(batches_of(), stop=partial(has_reached, run, 3))
    learnt: list[Any] = []
    monkeypatch.setattr(run.policy, "learn", lambda *arguments: learnt.append(arguments))
    before, (x, labels) = everything(run), random_batch(3)
    if cause == "loss":
        x[0, 0, 0, 0] = math.nan
    elif cause == "hint":
        monkeypatch.setattr("supernet.hints.feature.WITHOUT_MEAN", math.inf)
    else:
        monkeypatch.setattr(run.optimizer, "clip", lambda _: math.inf)
    losses = list(run.losses)
    run.train_step(x, labels)
    after = everything(run)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (run.num_skipped, run.losses, learnt) == (1, losses, [])
    monkeypatch.undo()
    run.step += 1
    assert run.run(batches_of())
    assert run.history[-1]["skipped_steps"] == 1


def test_a_run_goes_on_after_steps_without_finite_numbers_and_stops_where_they_persist() -> None:
    run = training(num_steps=14)
    assert run.run(nothing_but_nan(range(2, 2 + PATIENCE - 1)))
    assert [row["skipped_steps"] for row in run.history] == [0, 0, *range(1, PATIENCE), *[PATIENCE - 1] * 3]
    assert all(math.isfinite(value) for row in run.history for value in row.values())
    run = training(num_steps=2 * PATIENCE + 2)
    assert run.run(nothing_but_nan(range(1, 2 * PATIENCE + 2, 2))), "every other step is none in a row"
    assert run.num_skipped == PATIENCE + 1
    run = training(num_steps=14)
    with pytest.raises(UserError, match=rf"diverged at step {2 + PATIENCE - 1}: the loss is \[nan, nan, nan\]"):
        run.run(nothing_but_nan(range(2, 2 + PATIENCE)))
    with pytest.raises(UserError, match=r"diverged at step 0: .*the first pass of a component gave no number"):
        training().run(nothing_but_nan(range(1)))


def test_a_run_whose_weights_are_not_finite_stops_at_once() -> None:
    run = training(num_steps=14)
    run.run(batches_of(), stop=partial(has_reached, run, 3))
    with torch.no_grad():
        next(iter(run.supernet.weights.values())).view(-1)[0] = math.inf
    with pytest.raises(UserError, match="diverged at step 3"):
        run.run(batches_of())


def test_a_diverging_run_ends_with_one_line() -> None:
    run = training(learning_rate=100.0, weight_decay=100.0, num_steps=20)
    with pytest.raises(UserError, match=r"diverged at step \d+.*lower the learning rate, the weight decay"):
        run.run(batches_of())


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    training().save(path)
    with pytest.raises(UserError, match="another experiment"):
        training(num_steps=9).restore(path)
    other = every_component(mixer="pooling", norm="layer", gate="none", stem="patch")
    with pytest.raises(UserError, match="made for another space"):
        load_weights(Supernet(SMALL, TASK), load_tensors(path)[0] and {}, path)
    load_weights(Supernet(other, TASK), load_tensors(path)[0], path)


@pytest.mark.parametrize("missing", ["optimizer/", "averages/"])
def test_a_state_that_lacks_something_is_named(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "c"
    training(ema_decay=0.9).save(path)
    tensors, metadata = load_tensors(path)
    save_tensors(path, {k: v for k, v in tensors.items() if not k.startswith(missing)}, metadata)
    with pytest.raises(UserError, match=r"c is not a whole state \(KeyError: .*\); restore it, or remove it"):
        training(ema_decay=0.9).restore(path)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "policy": ({"policy": "sandwhich"}, r"not one of \(uniform, log_uniform, sandwich"),
    "one subnet in a sandwich": ({"policy": "sandwich", "subnets_per_step": 1}, "too few for sandwich"),
    "no epochs": ({"epochs": 0}, r"supernet\.epochs=0 must be above 0"),
    "warmup": ({"warmup": 1.5}, "between 0 and 1"),
    "mixup": ({"mixup": -0.1}, r"supernet\.mixup=-0\.1 must be at least 0"),
    "cutmix": ({"cutmix": -1.0}, r"supernet\.cutmix=-1\.0 must be at least 0"),
    "RandAugment": ({"rand_augment": -1}, r"supernet\.rand_augment=-1 must be at least 0"),
    "orthogonality": ({"orthogonality": -1.0}, r"supernet\.orthogonality=-1\.0 must be at least 0"),
    "magnitude": ({"rand_augment_magnitude": 11.0}, r"supernet\.rand_augment_magnitude=11\.0 must be at most 10"),
    "drop path": ({"drop_path": 1.0}, r"supernet\.drop_path=1\.0 must be at least 0 and below 1"),
    "sample pruning": ({"sample_pruning": 1.0}, r"supernet\.sample_pruning=1\.0 must be at least 0 and below 1"),
    "smoothing to nothing": (
        {"label_smoothing": 1.0},
        r"label_smoothing=1\.0 must be at least 0 and below 1",
    ),
    "a schedule of nothing": (
        {"drop_path_schedule": "linear"},
        r"changes nothing at supernet\.drop_path=0; raise",
    ),
    "a magnitude of nothing": ({"rand_augment_magnitude": 2.0}, r"changes nothing at supernet\.rand_augment=0"),
    "a teacher without weight": ({"teacher": "t", "distillation": 0.0}, "teaches nothing at supernet.distillation=0"),
    "feature distillation": ({"feature_distillation": -1.0}, r"feature_distillation=-1\.0 must be at least 0"),
    "ema": ({"ema_decay": 1.0}, "ema_decay=1.0 must lie between 0 and 1"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        TrainingSettings(**changes)


def test_a_teacher_may_teach_by_its_stages_alone() -> None:
    given: dict[str, Any] = {"teacher": "somewhere", "distillation": 0.0}
    assert TrainingSettings(**given, attention_distillation=1.0).hints == {"attention_distillation": 1.0}


def test_a_supernet_learns_digits_and_so_do_its_subnets() -> None:
    data = load_data(DataConfig(format="digits"))
    task = Task(data.input_shape, data.num_classes)
    space = every_component(mixer=["depthwise"], norm="batch", gate="none", ffn="mlp", stem={"patch": {"stride": 2}})
    supernet = Supernet(space, task)
    settings = TrainingSettings(policy="sandwich", subnets_per_step=3, batch_size=64, learning_rate=5e-3)
    Training(supernet, settings, 60, 0).run(lambda step: batches(data.train, 64, 0, step))

    for architecture in (space.largest(), space.smallest()):
        network = supernet.extract(architecture)
        recalibrate(network, in_order(data.train, 256))
        assert evaluate(network, in_order(data.search, 256)).accuracy > 0.75

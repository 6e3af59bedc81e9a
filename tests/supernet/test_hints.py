"""Hints: each method against its definition, one module for pupils of every width, and training with them."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn
from torch import Tensor, nn
from torch.nn import functional as F

from search_space import Architecture, SearchSpace, UserError, read_space
from supernet.checkpoint import content_hash
from supernet.hints.attention_map import AttentionMap
from supernet.hints.feature import WITHOUT_MEAN, CrossAttentionProjector, FeatureMimicking, _without_mean
from supernet.hints.positions import cosines, on_grid
from supernet.hints.recalibration import Recalibration
from supernet.hints.shared import Hints
from supernet.network import Network
from supernet.ops.linear import scaled
from supernet.policies.policy import Draw, Policy
from supernet.registry import catalogue
from supernet.settings import HINTS, TrainingSettings
from supernet.slicing import cut
from supernet.stage_features import Outputs, stage_features
from supernet.supernet import Supernet
from supernet.training import Training
from tests.spaces import TASKS, every_component

TASK = TASKS["2-D"]
KINDS: dict[str, Any] = {"norm": "layer", "gate": "none", "ffn": "mlp", "stem": {"patch": {"stride": 2}}}
SPACE = every_component(mixer=["pooling", "depthwise"], **KINDS)
ALL: dict[str, Any] = dict.fromkeys(HINTS, 0.5)
NONE: dict[str, Any] = {}
ONE: dict[str, dict[str, Any]] = {name: {name: 1.0} for name in HINTS}
SIZES = {"1-D": ((7,), (4,)), "2-D": ((3, 5), (2, 4)), "3-D": ((2, 3, 3), (3, 2, 1))}


def features(width: int, size: tuple[int, ...], seed: int = 0, batch: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, width, *size, generator=generator, dtype=torch.float64)


def random_batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, *TASK.input_shape, generator=generator), torch.randint(5, (6,), generator=generator)


def batches(step: int) -> Any:
    while True:
        yield random_batch(step)
        step += 1


def training(teacher: nn.Module | None = None, num_steps: int = 6, **changes: Any) -> Training:
    given = {"teacher": "somewhere" if teacher else None, "policy": "sandwich", "subnets_per_step": 3}
    settings = TrainingSettings(**{**given, **changes})
    return Training(Supernet(SPACE, TASK), settings, num_steps, seed=7, teacher=teacher)


def another_network() -> Network:
    """Other mixers, widths and positions than those of `SPACE`, as many stages."""
    torch.manual_seed(3)
    kinds = {**KINDS, "stem": {"convolution": {"stride": 4}}}
    return Network(every_component(mixer="attention", **kinds).smallest(), TASK)


def agree(found: Tensor, expected: Tensor, inputs: list[Tensor]) -> None:
    """Values, and the gradients of all inputs."""
    torch.testing.assert_close(found, expected)
    ours, theirs = (torch.autograd.grad(value, inputs) for value in (found, expected))
    assert any(gradient.any() for gradient in ours)
    torch.testing.assert_close(ours, theirs)


def test_attention_maps_are_unit_sums_of_squares_values_and_gradients() -> None:
    pupil, teacher = features(4, (3, 5)).requires_grad_(), features(7, (3, 5), seed=1)
    expected = torch.zeros((), dtype=torch.float64)
    for own, shown in zip(pupil, teacher, strict=True):
        maps = [torch.stack([x[:, i, j] @ x[:, i, j] for i, j in product(range(3), range(5))]) for x in (own, shown)]
        expected = expected + sum((maps[0] / maps[0].norm() - maps[1] / maps[1].norm()) ** 2) / 3
    agree(AttentionMap()(pupil, teacher), expected, [pupil])
    assert AttentionMap()(3 * pupil, pupil).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("size", [(8,), (4, 6), (4, 2, 2)])
def test_attention_maps_of_other_sizes_meet_on_the_coarser_grid(size: tuple[int, ...]) -> None:
    fine = features(4, size)
    energy = fine.square().sum(1, keepdim=True)
    for axis, length in enumerate(size, 2):
        energy = energy.unflatten(axis, (length // 2, 2)).mean(axis + 1)
    coarse = energy.sqrt()
    for pair in ((fine, coarse), (coarse, fine)):
        assert AttentionMap()(*pair).item() == pytest.approx(0, abs=1e-12)
    assert AttentionMap()(fine, coarse.flip(2)).item() > 0.01


@pytest.mark.parametrize("ndim", SIZES)
def test_the_second_view_is_what_a_cosine_transform_leaves_without_its_zero_frequency(ndim: str) -> None:
    x = features(4, SIZES[ndim][0])
    axes = tuple(range(2, x.dim()))
    frequencies = dctn(x.numpy(), axes=axes)
    frequencies[(slice(None), slice(None), *(0 for _ in axes))] = 0
    torch.testing.assert_close(_without_mean(x), torch.from_numpy(idctn(frequencies, axes=axes)))


def naive_projection(module: CrossAttentionProjector, pupil: Tensor, size: tuple[int, ...]) -> Tensor:
    """One query after the other."""
    rows: list[Tensor] = []
    for x in pupil:
        flat = x.flatten(1)
        scaled_tokens = (flat - flat.mean(0)) / (flat.var(0, unbiased=False) + 1e-5).sqrt()
        code = cosines(x.shape[1:], 8, x)
        place = code @ scaled(module.place.weight, code.shape[1]).T + module.place.bias
        y = scaled_tokens.T + place
        out: list[Tensor] = []
        for wanted in cosines(size, 8, x):
            total: Tensor = module.bias
            for head in range(module.query.shape[0]):
                query = scaled(module.query[head], len(wanted)) @ wanted
                keys, values = (y @ scaled(module.key_value[i, head], len(flat)).T for i in (0, 1))
                gathered = (keys @ query / math.sqrt(len(query))).softmax(0) @ values
                inner = module.output.shape[1] * len(query)
                total = total + scaled(module.output[:, head], inner) @ gathered
            out.append(total)
        rows.append(torch.stack(out, 1).unflatten(1, size))
    return torch.stack(rows)


@pytest.mark.parametrize("ndim", SIZES)
def test_feature_mimicking_is_its_definition_values_and_gradients(ndim: str) -> None:
    own, shown = SIZES[ndim]
    torch.manual_seed(0)
    module = FeatureMimicking(6, 19, shown).double()
    nn.init.normal_(module.whole.bias)
    pupil, teacher = features(6, own).requires_grad_(), features(19, shown, seed=1)
    expected = torch.zeros((), dtype=torch.float64)
    for projector, share, centred in ((module.whole, 1.0, False), (module.without_mean, WITHOUT_MEAN, True)):
        x, y = naive_projection(projector, pupil, shown), teacher
        if centred:
            x, y = (z - z.flatten(2).mean(2).view(3, 19, *(1 for _ in shown)) for z in (x, y))
        expected = expected + share * (2 - 2 * F.cosine_similarity(x, y, dim=1)).mean()
    agree(module(pupil, teacher), expected, [pupil, *module.parameters()])


@pytest.mark.parametrize("ndim", SIZES)
def test_recalibration_is_its_definition_values_and_gradients(ndim: str) -> None:
    own, shown = SIZES[ndim]
    torch.manual_seed(0)
    module = Recalibration(6, 10, shown).double()
    pupil, teacher = features(6, own).requires_grad_(), features(10, shown, seed=1)

    def normal(x: Tensor) -> Tensor:
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()

    def mlp(x: Tensor, layers: Any) -> Tensor:
        first, _, second = layers
        hidden = F.gelu(x @ scaled(first.weight, x.shape[-1]).T + first.bias)
        return hidden @ scaled(second.weight, hidden.shape[-1]).T + second.bias

    tokens = normal(on_grid(pupil, shown).flatten(2).transpose(1, 2))
    tokens = tokens + mlp(tokens.transpose(1, 2), module.mix).transpose(1, 2)
    wide = tokens @ scaled(module.widen.weight, 6).T + module.widen.bias
    recalibrated = wide + mlp(normal(wide), module.refine)
    expected = ((recalibrated - normal(teacher.flatten(2).transpose(1, 2))) ** 2).mean()
    agree(module(pupil, teacher), expected, [pupil, *module.parameters()])


def test_recalibration_of_many_positions_stays_small() -> None:
    assert Recalibration(4, 4, (500,)).size == (64,)
    assert Recalibration(4, 4, (28, 5)).size == (8, 5)
    assert Recalibration(4, 4, (8, 3, 16)).size == (4, 3, 4)
    assert Recalibration(4, 4, (28, 5))(features(4, (14, 3)).float(), features(4, (28, 5)).float()).isfinite()


MODULES: dict[str, Callable[[int, int, tuple[int, ...]], nn.Module]] = {
    "feature": FeatureMimicking,
    "recalibration": Recalibration,
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_learns_to_see_the_teacher_in_a_narrower_pupil_on_another_grid(name: str) -> None:
    """The teacher's features are a linear map of the pupil's, on every other position."""
    torch.manual_seed(0)
    module, mixing = MODULES[name](6, 12, (4,)), torch.randn(12, 6)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    distances: list[Tensor] = []
    for seed in range(150):
        pupil = features(6, (4,), seed, batch=32).float()
        teacher = torch.einsum("tw,bwn->btn", mixing, pupil)
        distances.append(module(pupil.repeat_interleave(2, 2), teacher))
        optimizer.zero_grad()
        distances[-1].backward()
        optimizer.step()
    assert distances[-1] < 0.35 * distances[0]


def outputs_of(network: Network) -> Outputs:
    with stage_features(network, True) as stages:
        return Outputs(network(random_batch()[0]), stages)


@pytest.mark.parametrize("method", HINTS)
@pytest.mark.parametrize("given", [False, True])
def test_a_narrow_pupil_has_the_leading_part_of_the_one_module(method: str, given: bool) -> None:
    supernet, teacher = Supernet(SPACE, TASK), another_network() if given else None
    hints = Hints({method: 2.0}, supernet, teacher, seed=1)
    shown = outputs_of(teacher or supernet.extract(SPACE.largest())).detached()
    for architecture in (SPACE.smallest(), SPACE.largest()):
        pupil = outputs_of(supernet.extract(architecture))
        hint = hints(pupil, shown, 0.25)
        distances = []
        for number in range(2)[-1 if method == "feature_distillation" else 0 :]:
            own, theirs = pupil.stages[number], shown.stages[number]
            make = {**MODULES, "attention": lambda *_: AttentionMap()}[method.removesuffix("_distillation")]
            module = make(own.shape[1], theirs.shape[1], tuple(theirs.shape[2:]))
            with torch.no_grad():
                for name, value in module.named_parameters():
                    value.copy_(cut(hints.weights[f"hints/{method}/{number}/{name.replace('.', '/')}"], value.shape))
            distances.append(module(own, theirs))
        torch.testing.assert_close(hint.loss, 0.25 * 2.0 * torch.stack(distances).mean())
        assert hint.leaves.keys() == hints.weights.keys() == {part.name for part in hint.parts}
    assert (not hints.weights) == (method == "attention_distillation")


def test_hints_without_a_teacher_or_without_weight_cost_nothing() -> None:
    supernet = Supernet(SPACE, TASK)
    own = outputs_of(supernet.extract(SPACE.largest()))
    hints = Hints(ALL, supernet)
    for hint in (hints(own, None, 1.0), hints(own, own, 0.0), Hints({}, supernet)(own, own, 1.0)):
        assert (hint.loss, hint.parts, hint.leaves) == (0.0, [], {})
    for run in (training(), training(policy="uniform", **ALL)):
        assert not run.hints.active
        assert run.optimizer.state_dict().keys() == training().optimizer.state_dict().keys()


def test_the_first_subnet_teaches_its_stages_more_and_more_and_a_given_teacher_from_the_start() -> None:
    """In the first step a subnet of the same step has no weight: the same bits as without hints."""
    for teacher in (None, another_network()):
        plain, hinted = (training(teacher, **changes) for changes in (NONE, ALL))
        before = content_hash(hinted.hints.weights)
        for run in (plain, hinted):
            run.run(batches, stop=lambda run=run: run.step == 1)  # type: ignore[misc]
        same = content_hash(plain.weights()) == content_hash(hinted.weights())
        assert same == (content_hash(hinted.hints.weights) == before) == (teacher is None)
        for run in (plain, hinted):
            run.run(batches)
        assert content_hash(plain.weights()) != content_hash(hinted.weights())
        assert content_hash(hinted.hints.weights) != before


@pytest.mark.parametrize("method", HINTS)
@pytest.mark.parametrize("changes", [{}, {"policy": "best_up"}, {"policy": "multi_architecture", "taught": True}])
def test_every_method_changes_what_is_minimised_and_not_the_loss_that_is_told(
    method: str, changes: dict[str, Any]
) -> None:
    teacher = another_network() if "taught" in changes else None
    changes = {name: value for name, value in changes.items() if name != "taught"}
    plain, hinted = (training(teacher, **changes, **more) for more in (NONE, ONE[method]))
    for run in (plain, hinted):
        run.supernet.train()
        run.step = 3
        run.train_step(*random_batch())
    assert plain.losses == hinted.losses
    assert content_hash(plain.weights()) != content_hash(hinted.weights())


def test_hints_are_clipped_together_with_the_network() -> None:
    run = training(another_network(), policy="uniform", subnets_per_step=1, **ALL)
    run.supernet.train()
    seen: list[float] = []
    clip = run.optimizer.clip

    def norm(prefix: str = "") -> float:
        gradients = [g for name, g in run.optimizer.gradients().items() if name.startswith(prefix)]
        return math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))

    def spy(_: float) -> float:
        before, hints, told = norm(), norm("hints/"), clip(1e-3)
        assert told == pytest.approx(before, rel=1e-5)
        assert norm() == pytest.approx(1e-3, rel=1e-3)
        assert norm("hints/") == pytest.approx(1e-3 * hints / before, rel=1e-3)
        assert hints > 0
        seen.append(told)
        return told

    run.optimizer.clip = spy  # type: ignore[method-assign,assignment]
    run.train_step(*random_batch())
    assert seen


class Smallest(Policy):
    """The smallest architecture, in every step."""

    def __call__(self, draw: Draw) -> list[Architecture]:
        return [draw.space.smallest()]


def test_a_step_trains_the_leading_part_of_its_widest_pupil_alone() -> None:
    run = training(another_network(), policy="uniform", subnets_per_step=1, learning_rate=1e-3, **ALL)
    run.policy = Smallest(1)
    before = {name: weight.clone() for name, weight in run.hints.weights.items()}
    run.supernet.train()
    run.train_step(*random_batch())
    changed = {name: (weight != before[name]) for name, weight in run.hints.weights.items()}
    widen = changed["hints/recalibration_distillation/0/widen/weight"]
    narrow, wide = SPACE.smallest().stages[0].width, SPACE.largest().stages[0].width
    assert widen.shape[1] == wide > narrow
    assert widen[:, :narrow].all()
    assert not widen[:, narrow:].any()
    assert changed["hints/feature_distillation/1/whole/bias"].all()


def test_pupils_of_one_dimension_and_of_other_strides_learn_too() -> None:
    space = every_component(mixer="depthwise", **{**KINDS, "stem": {"patch": {"stride": [1, 2]}}})
    settings = TrainingSettings(policy="sandwich", subnets_per_step=3, **ALL)
    run = Training(Supernet(space, TASKS["1-D"]), settings, 4, seed=0)
    x, labels = torch.randn(6, 2, 21), torch.arange(6) % 5
    before = content_hash(run.hints.weights)
    assert run.run(lambda _: iter([(x, labels)] * 5))
    assert content_hash(run.hints.weights) != before
    assert all(map(math.isfinite, run.losses))


def test_bfloat16_hints_stay_in_float32() -> None:
    run = training(precision="bfloat16", num_steps=3, **ALL)
    assert run.run(batches)
    assert all(weight.dtype == torch.float32 and weight.isfinite().all() for weight in run.hints.weights.values())


class Tuples(nn.Module):
    """A teacher whose stages give positions before channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([nn.Flatten(2), nn.Identity()])

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = stage(x)
        return x.mean(1)[:, : TASK.num_classes]


def one_stage() -> Network:
    table = {"stem": "patch", "mixer": "pooling", "ffn": "mlp", "stages": [{"width": 8, "depth": 1}]}
    return Network(read_space(table, catalogue()).largest(), TASK)


@pytest.mark.parametrize("method", HINTS)
@pytest.mark.parametrize(
    ("teacher", "found"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(math.prod(TASK.input_shape), TASK.num_classes)), "none"),
        (Tuples(), r"\[\(1, 99\), \(1, 99\)\]"),
        (one_stage(), r"\[\(8, \d+, \d+\)\]"),
    ],
    ids=["no stages", "other features", "another number"],
)
def test_a_teacher_without_the_stages_is_refused_in_one_line(method: str, teacher: nn.Module, found: str) -> None:
    with pytest.raises(UserError, match=rf"supernet\.{method} compares 2 stages .* are {found}; leave it out") as error:
        training(teacher, **ONE[method])
    assert "\n" not in str(error.value)
    assert training(teacher).teacher is teacher


def test_codes_of_places_are_the_first_vectors_of_the_cosine_transform() -> None:
    expected = dctn(np.eye(5), axes=[1]) / 2
    torch.testing.assert_close(cosines((5,), 5, torch.zeros((), dtype=torch.float64)), torch.from_numpy(expected))
    assert cosines((2, 3, 4), 8, torch.zeros(())).shape == (24, 24)


def test_a_space_of_one_architecture_learns_from_a_given_teacher() -> None:
    """As `snugnet finish` does."""
    supernet = Supernet(SearchSpace.only(SPACE.smallest()), TASK)
    settings = TrainingSettings(policy="uniform", subnets_per_step=1, **ALL)
    run = Training(supernet, settings, 3, seed=0, teacher=another_network())
    assert run.run(batches)
    assert run.hints.active

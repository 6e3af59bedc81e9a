"""The verbs on codes do to many architectures what those of the space do to one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from search_space import (
    Architecture,
    Block,
    ChoiceMatrix,
    Choose,
    Component,
    PopulationSpace,
    Scalar,
    SearchSpace,
    Stage,
    UserError,
)
from tests.search_space.test_space import SEEDS, SPACES, small_space


@settings(max_examples=50)
@given(SPACES, SEEDS)
def test_all_rows_are_architectures_of_the_space(space: SearchSpace, generator: np.random.Generator) -> None:
    population = PopulationSpace(space)
    a, b = population.sample(30, generator), population.sample(30, generator)
    for codes in (a, population.mutate(a, generator), population.crossover(a, b, generator)):
        for row in codes:
            architecture = population.architecture(row)
            assert (population.codes(architecture) == row).all()
            assert population.matrix(row[None]).choices(0) == space.choices(architecture)


@settings(max_examples=50)
@given(SPACES, SEEDS)
def test_mutation_changes_every_row_and_crossover_keeps_what_parents_share(
    space: SearchSpace, generator: np.random.Generator
) -> None:
    population = PopulationSpace(space)
    a, b = population.sample(30, generator), population.sample(30, generator)
    if space.size > 1 and population.decisions:
        assert (population.mutate(a, generator) != a).any(axis=1).all()
    child = population.crossover(a, b, generator)
    assert (child == a)[a == b].all() or space.conditions()
    taken = (child == a) | (child == b)
    assert taken.all() or space.conditions()


@settings(max_examples=25)
@given(SPACES)
def test_a_staged_space_says_the_conditions_that_probing_finds(space: SearchSpace) -> None:
    assert space.conditions() == SearchSpace.conditions(space)


def test_samples_are_uniform_over_the_options_of_each_decision() -> None:
    population = PopulationSpace(small_space())
    codes = population.sample(4000, np.random.default_rng(0))
    for j, options in enumerate(population.decisions.values()):
        made = codes[codes[:, j] >= 0, j]
        shares = np.bincount(made, minlength=len(options)) / len(made)
        assert shares == pytest.approx(1 / len(options), abs=0.05)
    deep = codes[:, list(population.decisions).index("stages.0.blocks.1.mixer")] >= 0
    assert deep.mean() == pytest.approx(0.5, abs=0.05)


def test_matrices_come_from_choices_and_give_them_back() -> None:
    space = small_space()
    rows = [space.choices(space.sample(np.random.default_rng(seed))) for seed in range(20)]
    matrix = ChoiceMatrix.of(space.decisions(), rows)
    assert [matrix.choices(i) for i in range(len(matrix))] == rows
    assert len({*matrix.keys()}) == len({tuple(sorted(row.items())) for row in rows})
    with pytest.raises(KeyError):
        ChoiceMatrix.of(space.decisions(), [rows[0] | {"stages.0.width": 9}])


class Either(SearchSpace):
    """The kernel size is asked for when the width or the depth is large: that hangs on no decision alone."""

    def build(self, choose: Choose) -> Architecture:
        width, depth = int(choose("stages.0.width", (8, 16))), int(choose("stages.0.depth", (1, 2)))
        name = "stages.0.blocks.0.mixer.depthwise.kernel_size"
        kernel_size = choose(name, (3, 5)) if width == 16 or depth == 2 else 3
        block = Block(Component("depthwise", kernel_size=kernel_size), Component("mlp"))
        return Architecture(Component("patch"), (Stage(width, (block,) * depth),))

    def choices(self, architecture: Architecture) -> dict[str, Scalar]:
        flat = architecture.flat()
        return {name: flat[name] for name in self._asked(flat)}


def test_a_space_with_other_conditions_is_refused() -> None:
    with pytest.raises(UserError, match="kernel_size is made does not follow"):
        PopulationSpace(Either())

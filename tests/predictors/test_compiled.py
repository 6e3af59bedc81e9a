"""A compiled predictor says what the predictor says, also of choices that it never saw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from predictors import AccuracyPredictor, BoostingPredictor, LatencyPredictor, RidgePredictor
from search_space import ChoiceMatrix, PopulationSpace, SearchSpace, UserError, read_space

CATALOGUE: dict[str, Any] = {
    "mixer": {"depthwise": {"kernel_size": ()}, "attention": {"heads": ()}, "pooling": {}},
    "ffn": {"mlp": {"expansion": ()}},
    "stem": {"patch": {}},
    "norm": {"layer": {}, "batch": {}},
    "residual": {"pre_norm": {}},
    "gate": {"none": {}},
}
SPACE: SearchSpace = read_space(
    {
        "stem": "patch",
        "norm": ["layer", "batch"],
        "mixer": {"depthwise": {"kernel_size": [3, 5, 7]}, "attention": {"heads": [1, 2, 4, 8]}, "pooling": {}},
        "ffn": {"mlp": {"expansion": [1, 2, 4]}},
        "stages": [
            {"width": [16, 24, 32, 48], "depth": [1, 2]},
            {"width": [32, 64, 96], "depth": [1, 2, 3], "downsample": "patch"},
        ],
    },
    CATALOGUE,
)
POPULATION = PopulationSpace(SPACE)


def rows_of(matrix: ChoiceMatrix) -> list[dict[str, Any]]:
    return [dict(matrix.choices(i)) for i in range(len(matrix))]


def cost(row: dict[str, Any]) -> float:
    """Products and squares of numbers, named choices, and a little that no part explains."""
    widths = [row[f"stages.{i}.width"] * row[f"stages.{i}.depth"] for i in (0, 1)]
    kernels = sum(value for name, value in row.items() if name.endswith("kernel_size"))
    return 1 + sum(widths) / 50 + widths[1] ** 2 / 1e4 + kernels / 10 + 0.3 * (row["norm"] == "batch")


@pytest.mark.parametrize("num_rows", [3, 40, 500])
@pytest.mark.parametrize(
    "make", [RidgePredictor, lambda: LatencyPredictor(kind="ridge"), lambda: AccuracyPredictor("ridge")]
)
def test_it_predicts_what_the_predictor_does(make: Any, num_rows: int) -> None:
    """After 3 rows hardly any choice is known, after 500 the ridge works through inducing rows."""
    generator = np.random.default_rng(num_rows)
    known = rows_of(POPULATION.matrix(POPULATION.sample(num_rows, generator)))
    targets = [cost(row) * np.exp(0.02 * generator.normal()) for row in known]
    predictor = make().fit(known, targets)
    new = POPULATION.matrix(POPULATION.sample(5000, generator))
    compiled = predictor.compiled(POPULATION.decisions)(new.codes)
    wanted = predictor.predict(rows_of(new))
    np.testing.assert_allclose(compiled, wanted, rtol=1e-4, atol=1e-5 * np.std(targets))
    assert np.std(wanted) > 0.1 * np.std(targets)
    assert predictor.compiled(POPULATION.decisions)(new.codes[:0]).shape == (0,)


def test_choices_as_codes_and_by_name_are_the_same_rows() -> None:
    generator = np.random.default_rng(0)
    known = rows_of(POPULATION.matrix(POPULATION.sample(40, generator)))
    predictor = LatencyPredictor().fit(known, [cost(row) for row in known])
    new = POPULATION.matrix(POPULATION.sample(50, generator))
    for method in (predictor.predict, predictor.predict_interval, predictor.far_from_data, predictor.posterior):
        np.testing.assert_allclose(method(new), method(rows_of(new)), rtol=1e-9)


def test_the_posterior_is_the_prediction_and_wider_where_less_is_known() -> None:
    generator = np.random.default_rng(0)
    known = rows_of(POPULATION.matrix(POPULATION.sample(40, generator)))
    predictor = LatencyPredictor(kind="ridge").fit(known, [cost(row) for row in known])
    mean, std = predictor.posterior(known)
    np.testing.assert_allclose(mean, predictor.predict(known), rtol=1e-5)
    _, unsure = predictor.posterior([row | {"norm": "unheard of"} for row in known])
    assert (unsure > std).all()


def test_only_a_ridge_alone_can_be_compiled() -> None:
    known = rows_of(POPULATION.matrix(POPULATION.sample(60, np.random.default_rng(0))))
    targets = [cost(row) for row in known]
    sourced = LatencyPredictor(kind="ridge").fit(known, targets, sources=[("other", known, targets)])
    for predictor in (LatencyPredictor().fit(known, targets), BoostingPredictor().fit(known, targets), sourced):
        with pytest.raises(UserError, match="only a predictor of kind='ridge' without sources"):
            predictor.compiled(POPULATION.decisions)

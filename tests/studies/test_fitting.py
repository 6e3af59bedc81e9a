"""Fits: known coefficients come back, intervals cover as they claim, and what cannot be fitted is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import huber

from search_space import UserError
from studies import LAWS, Fit, fit_law
from studies.columns import Floats

TRUTH: dict[str, dict[str, float]] = {
    "power_law": {"a": 5.0, "alpha": 0.3},
    "power_law_floor": {"floor": 0.5, "a": 20.0, "alpha": 0.4},
    "power_law_ceiling": {"floor": 0.1, "ceiling": 2.3, "a": 400.0, "alpha": 0.8, "bend": 0.7},
    "additive": {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28},
    "width_depth": {"E": 0.5, "A": 3.0, "B": 2.0, "C": 500.0, "D": 4e4}
    | {"alpha": 0.5, "beta": 1.0, "gamma": 0.4, "zeta": 0.5},
}
AXES: dict[str, tuple[Floats, ...]] = {
    "power_law": (np.geomspace(1e2, 1e6, 25),),
    "power_law_floor": (np.geomspace(1e2, 1e6, 40),),
    "power_law_ceiling": (np.geomspace(1e2, 1e6, 40),),
    "additive": (np.geomspace(1e6, 1e10, 6), np.geomspace(1e8, 1e11, 6)),
    "width_depth": (
        np.array([8.0, 64, 512]),
        np.array([2.0, 8, 32]),
        np.geomspace(1e6, 1e9, 3),
        np.geomspace(1e8, 1e11, 3),
    ),
}

QUICK = ("power_law", "power_law_floor")


def synthetic(law: str, noise: float, seed: int = 0) -> dict[str, Floats]:
    """Columns x0, x1, ... and y on a grid, y with log-normal noise of that standard deviation."""
    x = np.stack(np.meshgrid(*AXES[law], indexing="ij"), axis=-1).reshape(-1, len(AXES[law]))
    y = LAWS[law].predict(TRUTH[law], x) * np.exp(noise * np.random.default_rng(seed).standard_normal(len(x)))
    return {f"x{i}": column for i, column in enumerate(x.T)} | {"y": y}


def fit(table: Any, law: str, **options: Any) -> Fit:
    return fit_law(table, [f"x{i}" for i in range(LAWS[law].num_columns)], "y", law, **options)


@pytest.mark.parametrize("law", LAWS)
def test_without_noise_the_coefficients_come_back(law: str) -> None:
    found = fit(synthetic(law, noise=0), law, bootstrap=0)
    assert found.params == pytest.approx(TRUTH[law], rel=1e-3)
    assert found.flags == ()
    assert found.extrapolation is not None
    assert found.extrapolation.rmse_log < 1e-4
    assert found.intervals == {}


@pytest.mark.parametrize(
    "law",
    [
        *QUICK,
        pytest.param("additive", marks=pytest.mark.thorough),
        pytest.param("power_law_ceiling", marks=pytest.mark.thorough),
    ],
)
def test_intervals_cover_the_truth_as_often_as_they_claim(law: str) -> None:
    """Misses follow a binomial: 3 standard deviations below the claim fail. Nor may intervals be twice too wide."""
    level, repeats = 0.8, 40
    fits = [
        fit(synthetic(law, 0.02, seed), law, bootstrap=40, level=level, holdout=0, seed=seed) for seed in range(repeats)
    ]
    least = level - 3 * np.sqrt(level * (1 - level) / repeats)
    for name, true in TRUTH[law].items():
        ends = np.array([found.intervals[name] for found in fits])
        assert np.mean((ends[:, 0] <= true) & (true <= ends[:, 1])) >= least
        ideal = np.diff(np.quantile([found.params[name] for found in fits], [0.1, 0.9]))
        assert 0.8 * ideal < np.median(ends[:, 1] - ends[:, 0]) < 2 * ideal
    beyond = 100 * np.array([[axis[-1] for axis in AXES[law]]])
    true = LAWS[law].predict(TRUTH[law], beyond)[0]
    inside = [
        prediction.low[0] <= true <= prediction.high[0] for prediction in (found.predict(beyond) for found in fits)
    ]
    assert np.mean(inside) >= least


def test_chinchilla_coefficients_lie_in_their_intervals() -> None:
    fits = [fit(synthetic("additive", 0.003, seed), "additive", bootstrap=40, holdout=0) for seed in range(10)]
    for name, true in TRUTH["additive"].items():
        assert sum(found.intervals[name][0] < true < found.intervals[name][1] for found in fits) >= 7
        assert all(found.intervals[name][0] < found.params[name] < found.intervals[name][1] for found in fits)


def test_one_wild_row_does_not_move_the_fit() -> None:
    table = synthetic("power_law_floor", noise=0.01)
    clean = fit(table, "power_law_floor", bootstrap=0).params
    table["y"][3] *= 5
    wild = fit(table, "power_law_floor", bootstrap=0)
    assert wild.params == pytest.approx(clean, rel=0.05)
    assert wild.residuals.largest_row == 3
    assert wild.residuals.largest_log == pytest.approx(-np.log(5), abs=0.05)


def test_the_objective_is_the_sum_of_huber_losses() -> None:
    table = synthetic("additive", noise=0.01)
    found = fit(table, "additive", bootstrap=0, delta=0.004)
    residuals = np.log(found.predict(table).y / table["y"])
    assert found.objective == pytest.approx(huber(0.004, residuals).sum(), rel=1e-9)
    assert found.residuals.rmse_log == pytest.approx(np.sqrt(np.mean(residuals**2)))


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(QUICK), st.integers(0, 99), st.floats(1e-9, 1e9), st.floats(1e-3, 1e3))
def test_units_of_x_and_y_only_rescale_coefficients(law: str, seed: int, x_unit: float, y_unit: float) -> None:
    table = synthetic(law, noise=0.01, seed=seed)
    here = fit(table, law, bootstrap=0, holdout=0)
    there = fit({"x0": table["x0"] * x_unit, "y": table["y"] * y_unit}, law, bootstrap=0, holdout=0)
    alpha = here.params["alpha"]
    assert there.objective == pytest.approx(here.objective, rel=1e-6)
    assert there.params["alpha"] == pytest.approx(alpha, rel=1e-4)
    assert there.params["a"] == pytest.approx(here.params["a"] * y_unit * x_unit**alpha, rel=2e-3)


def test_the_order_of_rows_does_not_matter_and_a_seed_repeats() -> None:
    table = synthetic("power_law_floor", noise=0.02)
    order = np.random.default_rng(5).permutation(len(table["y"]))
    shuffled = {name: column[order] for name, column in table.items()} | {"run": [str(i % 9) for i in order]}
    straight = table | {"run": [str(i % 9) for i in range(len(order))]}
    for cluster in (None, "run"):
        one, two = (fit(rows, "power_law_floor", cluster=cluster, bootstrap=30) for rows in (straight, shuffled))
        assert order[two.residuals.largest_row] == one.residuals.largest_row
        three = fit(straight, "power_law_floor", cluster=cluster, bootstrap=30, seed=1)
        assert one.params == two.params == three.params
        assert one.intervals == two.intervals != three.intervals


def test_a_floor_of_zero_does_not_hide_that_it_may_be_higher() -> None:
    x = np.geomspace(1, 100, 30)
    y = 3 * x**-0.5 * np.exp(0.05 * np.random.default_rng(2).standard_normal(30))
    found = fit({"x0": x, "y": y}, "power_law_floor")
    assert any(flag.startswith("floor is zero") for flag in found.flags)
    assert found.intervals["floor"][1] > 0.02


def test_clusters_of_dependent_rows_widen_the_intervals() -> None:
    """Ten runs of eight checkpoints that share one error each: as rows they look eight times as many as they are."""
    generator = np.random.default_rng(0)
    run = np.repeat(np.arange(10), 8)
    x = np.exp(generator.uniform(3, 12, 80))
    y = 4 * x**-0.3 * np.exp(0.05 * generator.standard_normal(10)[run] + 0.001 * generator.standard_normal(80))
    middle = np.exp(np.log(x).mean()).reshape(1, 1)
    rows, clusters = (
        fit({"x0": x, "y": y, "run": run}, "power_law", cluster=cluster).predict(middle) for cluster in (None, "run")
    )
    assert clusters.high - clusters.low > 2 * (rows.high - rows.low)


def test_the_largest_rows_are_held_out() -> None:
    """A law that turns a corner beyond the rows it was fitted to is caught by its extrapolation error."""
    x = np.geomspace(1, 1000, 20)
    y = 3 * x**-0.5
    y[-5:] = 2 * y[-5:]
    found = fit({"x0": x, "y": y}, "power_law", holdout=0.25, bootstrap=0).extrapolation
    assert found is not None
    assert (found.num_fitted, found.num_held_out) == (15, 5)
    assert found.rmse_log == pytest.approx(np.log(2), rel=1e-3)
    assert found.mean_relative_error == pytest.approx(0.5, rel=1e-3)
    assert found.split == "the largest x0 held out"


def test_rows_of_one_size_are_not_parted() -> None:
    x = np.repeat(np.geomspace(1, 1000, 10), 4)
    found = fit({"x0": x, "y": 3 * x**-0.5}, "power_law", holdout=0.15, bootstrap=0).extrapolation
    assert found is not None
    assert (found.num_fitted, found.num_held_out) == (32, 8)


def test_degenerate_fits_are_flagged() -> None:
    x = np.geomspace(1, 1e4, 30)
    noise = np.exp(0.01 * np.random.default_rng(0).standard_normal(30))
    falling = fit({"x0": x, "y": 3 * x ** -(0.5 + 0.02 * np.log(x)) * noise}, "power_law_floor", bootstrap=0)
    assert any(flag.startswith("floor is zero") for flag in falling.flags)
    constant = fit({"x0": x, "y": np.full(30, 3.0)}, "power_law_floor", bootstrap=0)
    assert any("undetermined" in flag or "at its bound" in flag for flag in constant.flags)
    near = np.geomspace(1, 2, 30)
    steep = fit({"x0": near, "y": 1 + 50 * near**-20.0}, "power_law_floor", bootstrap=0)
    assert "alpha=8 is at its bound" in " ".join(steep.flags)
    low = fit({"x0": x, "y": 1 + 3 * x**-0.5}, "power_law_ceiling", bootstrap=0)
    assert any(flag.startswith("ceiling and bend are undetermined") for flag in low.flags)
    bent = fit({"x0": x, "y": 3 * x**-0.5 + 1}, "power_law", bootstrap=0)
    assert any("residuals along x0 are not noise" in flag for flag in bent.flags)
    few = fit({"x0": x[:4], "y": 1 + 3 * x[:4] ** -0.5}, "power_law_floor", bootstrap=0)
    assert few.extrapolation is None
    assert any(flag.startswith("no extrapolation error") for flag in few.flags)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"y": [1.0, None, 2.0, 3.0]}, {}, "row 1: y is missing; remove that row or fill it in"),
        ({"y": [1.0, 2.0, float("nan"), 3.0]}, {}, "row 2: y=nan is not a finite number above zero; remove that row"),
        ({"x": [1.0, 2.0, 3.0, 0.0]}, {}, "row 3: x=0.0 is not a finite number above zero"),
        ({"x": ["a", "b", "c", "d"]}, {}, "row 0: x='a' is not a number"),
        ({"x": [1.0, 2.0]}, {}, "the columns differ in length: x has 2, y has 4"),
        ({"x": [], "y": []}, {}, "column 'x' has no rows"),
        ({"x": [1.0, 1.0, 2.0, 2.0]}, {}, "power_law needs at least 3 distinct x, but there are 2"),
        ({}, {"y": "loss"}, "'loss' is not a column; accepted: x, y, run"),
        ({}, {"law": "power"}, "'power' is not a law; accepted: power_law"),
        ({}, {"law": "additive"}, "additive takes 2 x columns, not 1 (x); its formula is y = E"),
        ({}, {"x": ["x", "y"]}, "power_law takes 1 x columns, not 2 (x, y)"),
        ({}, {"law": "power_law_floor", "x": ["twice"]}, "needs at least 4 distinct twice, but there are 2"),
        ({}, {"cluster": "run"}, "run has 2 clusters, but power_law needs at least 3"),
        ({"run": ["a", None, "b", "c"]}, {"cluster": "run"}, "row 1: run is missing"),
        ({}, {"bootstrap": 19}, "bootstrap=19 must be at least 20 refits for level=0.9"),
        ({}, {"level": 90}, "level=90 must be a coverage between 0 and 1"),
        ({}, {"holdout": 1.0}, "holdout=1.0 must be a share"),
        ({}, {"delta": 0.0}, "delta=0.0 must be above zero"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change: dict[str, Any], options: dict[str, Any], message: str) -> None:
    table = {"x": [1.0, 2.0, 3.0, 4.0], "y": [4.0, 3.0, 2.0, 1.0], "run": ["a", "a", "b", "b"]}
    arguments = {"x": ["x"], "y": "y", "law": "power_law"} | options
    with pytest.raises(UserError) as refused:
        fit_law(table | {"twice": [1.0, 1.0, 2.0, 2.0]} | change, **arguments)
    assert message in str(refused.value).replace(", twice", "")
    assert "\n" not in str(refused.value)


def test_two_parameter_counts_do_not_determine_an_additive_law() -> None:
    table = synthetic("additive", noise=0.01)
    kept = table["x0"] < 1e7
    with pytest.raises(UserError, match="needs at least 3 distinct x0, but there are 2"):
        fit({name: column[kept] for name, column in table.items()}, "additive")


def test_a_fit_is_json_and_predicts_for_tables() -> None:
    table = synthetic("additive", noise=0.01)
    found = fit(pa.table(table), "additive", bootstrap=20)
    stored = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert stored["params"] == found.params
    assert stored["replicates"] == 20
    x = np.column_stack([table["x0"], table["x1"]])
    by_array, by_table = found.predict(x), found.predict(pa.table(table))
    for one, two in zip(by_array, by_table, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (by_array.low <= by_array.high).all()
    with pytest.raises(UserError, match=r"must be \(rows, 2\): x0, x1, all above zero"):
        found.predict(-x)

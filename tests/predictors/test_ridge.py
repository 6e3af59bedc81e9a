"""The grouped ridge against readable references: its weights, its posterior, and functions it must recover."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm
from sklearn.linear_model import Ridge

from predictors import ChoiceEncoder, RidgePredictor
from predictors.encoding import Group
from predictors.evidence import NOISE_MEDIAN, PRIOR_VARIANCE, maximise_evidence
from predictors.kernels import CORRECTION, MEDIAN, Kernels
from predictors.posterior import Posterior
from predictors.ridge import INDUCING_ROWS, GroupedRidge

Floats = np.ndarray[Any, np.dtype[np.float64]]


@pytest.fixture
def fitted(draw_rows: Callable[..., Any], cost_of: Callable[..., Any]) -> tuple[GroupedRidge, Floats, Floats]:
    """A ridge fitted on 40 rows, the targets, and the columns of 15 other rows."""
    rows = draw_rows(55, 0)
    encoder = ChoiceEncoder().fit(rows[:40])
    columns = encoder.transform(rows)
    targets = cost_of(rows[:40]) + np.random.default_rng(0).normal(0, 5, 40)
    return GroupedRidge(encoder.groups_, encoder.indicator_).fit(columns[:40], targets), targets, columns[40:]


def test_weights_are_those_of_greatest_evidence() -> None:
    generator = np.random.default_rng(0)
    factors = generator.normal(size=(2, 25, 4))
    kernels = factors @ factors.transpose(0, 2, 1) / 4
    targets = generator.multivariate_normal(np.zeros(25), 1 + 0.8 * kernels[0] + 0.1 * np.eye(25))
    targets = (targets - targets.mean()) / targets.std()
    noise = generator.uniform(0.5, 2, 25)

    def evidence(weights: Floats) -> float:
        full = 1 + np.tensordot(weights[:2], kernels, 1) + weights[2] * np.diag(noise)
        prior = norm.logpdf(np.log(weights), np.log([0.3, 0.1, NOISE_MEDIAN]), PRIOR_VARIANCE**0.5)
        return float(multivariate_normal(np.zeros(25), full).logpdf(targets) + np.sum(prior))

    found = maximise_evidence(kernels, np.array([0.3, 0.1]), noise, targets)
    assert found[0] > 3 * found[1]
    for step in np.vstack([np.eye(3), -np.eye(3)]) * 0.05:
        assert evidence(found) > evidence(found * np.exp(step))


def test_prediction_is_gaussian_conditioning(fitted: tuple[GroupedRidge, Floats, Floats]) -> None:
    ridge, targets, new = fitted
    both = np.vstack([ridge.inducing_, new])
    joint = 1 + np.tensordot(ridge.weights_, ridge.kernels_.each(both), 1) + ridge.noise_ * np.eye(len(both))
    gain = np.linalg.solve(joint[:40, :40], joint[:40, 40:]).T
    mean, std = ridge.predict(new)
    offset, unit = targets.mean(), targets.std()
    np.testing.assert_allclose(mean, offset + gain @ (targets - offset), rtol=1e-6)
    variance = np.diag(joint[40:, 40:] - gain @ joint[:40, 40:])
    np.testing.assert_allclose(std, unit * np.sqrt(variance), rtol=1e-5)


def test_with_more_rows_than_are_inducing_it_is_near_to_conditioning_on_all(
    draw_rows: Callable[..., Any], cost_of: Callable[..., Any]
) -> None:
    rows = draw_rows(INDUCING_ROWS + 200, 0)
    encoder = ChoiceEncoder().fit(rows)
    columns, truth = encoder.transform(rows), cost_of(rows)
    ridge = GroupedRidge(encoder.groups_, encoder.indicator_).fit(columns[:-50], truth[:-50])
    assert len(ridge.inducing_) == INDUCING_ROWS < len(columns) - 50
    joint = 1 + np.tensordot(ridge.weights_, ridge.kernels_.each(columns), 1) + ridge.noise_ * np.eye(len(columns))
    gain = np.linalg.solve(joint[:-50, :-50], joint[:-50, -50:]).T
    exact = ridge.offset_ + gain @ (truth[:-50] - ridge.offset_)
    mean, std = ridge.predict(columns[-50:])
    np.testing.assert_allclose(mean, exact, atol=0.05 * truth.std())
    assert np.all(std >= 0.99 * ridge.unit_ * np.sqrt(np.diag(joint[-50:, -50:] - gain @ joint[:-50, -50:])))


@pytest.mark.parametrize("num_rows", [8, 30])
def test_both_ways_to_the_posterior_are_ridge_regression(num_rows: int) -> None:
    generator = np.random.default_rng(0)
    features, new = generator.normal(size=(num_rows, 15)), generator.normal(size=(5, 15))
    targets, variances = generator.normal(size=num_rows), generator.uniform(0.1, 2, num_rows)
    found = Posterior(features, targets, variances)
    plain = Ridge(alpha=1.0, fit_intercept=False).fit(features, targets, sample_weight=1 / variances)
    np.testing.assert_allclose(found.mean, plain.coef_, rtol=1e-8)
    covariance = np.linalg.inv(np.eye(15) + features.T @ (features / variances[:, None]))
    np.testing.assert_allclose(found.variance(new), np.diag(new @ covariance @ new.T), rtol=1e-8)


def test_kernels_have_a_mean_of_one_and_agree_with_each_other(draw_rows: Callable[..., Any]) -> None:
    rows = draw_rows(30, 4)
    encoder = ChoiceEncoder().fit(rows)
    columns = encoder.transform(rows)
    kernels = Kernels(columns, encoder.groups_, encoder.indicator_)
    each = kernels.each(columns)
    assert len(each) == 7
    np.testing.assert_allclose(np.trace(each, axis1=1, axis2=2), 30)
    weights = np.arange(1.0, 8.0)
    terms = kernels.terms(columns)
    linear = (terms * kernels.by_column(weights)) @ terms.T
    np.testing.assert_allclose(linear, np.tensordot(weights[:-1], each[:-1], 1), atol=1e-12)
    np.testing.assert_allclose(kernels.interactions(columns, columns), each[-1])


def test_an_indicator_keeps_its_unit_and_a_number_does_not() -> None:
    common, rare, number = np.arange(40) % 2, np.arange(40) < 2, np.arange(40.0)
    columns = np.column_stack([common, rare, number, 1000 * number]).astype(np.float64)
    scale = Kernels(columns, np.zeros(4, dtype=np.intp), np.array([True, True, False, False])).scale
    assert scale[0] == scale[1]
    assert scale[2] == pytest.approx(1000 * scale[3])


def test_what_choices_say_only_corrects_sources() -> None:
    columns = np.random.default_rng(0).normal(size=(20, 3))
    indicator = np.zeros(3, dtype=bool)
    without = Kernels(columns, np.array([Group.CHOICES, Group.TOTALS, Group.TOTALS]), indicator)
    sourced = Kernels(columns, np.array([Group.CHOICES, Group.TOTALS, Group.SOURCES]), indicator)
    np.testing.assert_array_equal(without.medians, [MEDIAN, MEDIAN, MEDIAN])
    np.testing.assert_array_equal(sourced.medians, [CORRECTION, CORRECTION, MEDIAN, CORRECTION])


@pytest.mark.parametrize(("relative", "ratio"), [(True, 10.0), (False, 1.0)])
def test_relative_noise_grows_with_the_target(relative: bool, ratio: float) -> None:
    generator = np.random.default_rng(0)
    columns = generator.uniform(1, 10, size=(300, 1))
    targets = columns[:, 0] * generator.normal(1, 0.1, 300)
    ridge = GroupedRidge(np.zeros(1, dtype=np.intp), np.zeros(1, dtype=bool), relative_noise=relative)
    _, std = ridge.fit(columns, targets).predict(np.array([[1.0], [10.0]]))
    assert std[1] / std[0] == pytest.approx(ratio, rel=0.1)


def test_an_additive_function_without_noise_is_recovered() -> None:
    generator = np.random.default_rng(0)
    effects = generator.normal(size=(8, 3))
    chosen = generator.integers(3, size=(260, 8))
    rows = [{f"op{i}": f"o{value}" for i, value in enumerate(row)} for row in chosen]
    targets = effects[np.arange(8), chosen].sum(axis=1)
    predicted = RidgePredictor().fit(rows[:60], targets[:60]).predict(rows[60:])
    assert np.sqrt(np.mean((predicted - targets[60:]) ** 2)) < 0.01 * targets.std()


def test_a_pairwise_function_without_noise_is_recovered() -> None:
    generator = np.random.default_rng(1)
    effects = generator.normal(size=(4, 4, 3, 3))
    chosen = generator.integers(3, size=(481, 4))
    rows = [{f"op{i}": f"o{value}" for i, value in enumerate(row)} for row in chosen]
    targets = sum(effects[i, j, chosen[:, i], chosen[:, j]] for i in range(4) for j in range(i))
    predicted = RidgePredictor().fit(rows[:200], targets[:200]).predict(rows[200:])
    assert np.sqrt(np.mean((predicted - targets[200:]) ** 2)) < 0.1 * targets.std()


def test_costs_of_blocks_are_recovered_from_few_rows(
    draw_rows: Callable[..., Any], cost_of: Callable[..., Any]
) -> None:
    rows = draw_rows(300, 5)
    targets = cost_of(rows)
    predicted = RidgePredictor().fit(rows[:60], targets[:60]).predict(rows[60:])
    assert np.sqrt(np.mean((predicted - targets[60:]) ** 2)) < 0.1 * targets.std()


def test_costs_that_grow_with_the_square_of_the_width_are_recovered(draw_rows: Callable[..., Any]) -> None:
    rows = draw_rows(300, 5)
    targets = np.array([sum(row[f"stages.{s}.width"] ** 2 * row[f"stages.{s}.depth"] for s in (0, 1)) for row in rows])
    predicted = RidgePredictor().fit(rows[:60], targets[:60]).predict(rows[60:])
    assert np.sqrt(np.mean((predicted - targets[60:]) ** 2)) < 0.01 * targets.std()

"""Expected improvement against its definition: hypervolume with a sample of the candidate less hypervolume without."""

from __future__ import annotations

import moocore
import numpy as np
import pytest

from search.improvement import Improvement


def by_definition(mean: np.ndarray, std: np.ndarray, points: np.ndarray, reference: np.ndarray, num: int) -> float:
    draws = np.random.default_rng(0).normal(mean, std, size=(num, len(mean)))
    before = moocore.hypervolume(points, ref=reference) if len(points) else 0.0
    return float(np.mean([moocore.hypervolume(np.vstack([points, draw]), ref=reference) - before for draw in draws]))


@pytest.mark.parametrize(("num_objectives", "tolerance"), [(1, 0.05), (2, 0.05), (3, 0.15), (4, 0.25)])
def test_it_is_the_mean_of_what_samples_add(num_objectives: int, tolerance: float) -> None:
    """Exact for one and two objectives, so the tolerance there is that of the samples; else ratios are near enough."""
    generator = np.random.default_rng(num_objectives)
    reference = np.ones(num_objectives)
    points = generator.random((6, num_objectives)) * 1.2
    means, stds = generator.random((8, num_objectives)), 0.05 + 0.2 * generator.random((8, num_objectives))
    improvement = Improvement(means, stds, reference)
    improvement.add(points)
    worth = improvement.of(np.arange(8))
    inside = points[(points < 1).all(axis=1)]
    wanted = np.array([by_definition(*each, inside, reference, 8000) for each in zip(means, stds, strict=True)])
    if num_objectives > 2:  # a constant factor apart
        worth = worth * wanted.sum() / worth.sum()
    assert worth == pytest.approx(wanted, rel=tolerance, abs=tolerance * wanted.max() / 4)


@pytest.mark.parametrize("num_objectives", [1, 2, 3])
def test_points_lower_it_and_a_candidate_that_is_there_is_worth_nothing(num_objectives: int) -> None:
    means = np.full((2, num_objectives), 0.5)
    means[1] = 0.9
    improvement = Improvement(means, np.full_like(means, 1e-6), np.ones(num_objectives))
    alone = improvement.of(np.arange(2))
    assert alone[0] > alone[1] > 0
    improvement.add(means[:1])
    assert improvement.of(np.arange(2)) == pytest.approx([0, 0], abs=1e-5)


def test_what_is_beyond_the_reference_is_worth_nothing_and_takes_nothing() -> None:
    improvement = Improvement(np.array([[0.5, 2.0], [0.5, 0.5]]), np.full((2, 2), 1e-6), np.ones(2))
    improvement.add(np.array([[0.1, 1.5]]))
    assert improvement.of(np.arange(2)) == pytest.approx([0, 0.25], abs=1e-5)

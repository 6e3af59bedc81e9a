"""Expected improvement of the hypervolume by candidates of which means and standard deviations are known."""

from __future__ import annotations

from collections.abc import Callable

import moocore
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import qmc

Floats = NDArray[np.float64]

NUM_DIRECTIONS, NUM_SAMPLES = 128, 32
"""Of the estimate for three objectives and more."""

ROUGHLY = 8
"""A rough estimate takes so many times fewer of each."""

ROWS_AT_ONCE = 2**12
"""In that estimate."""


class Improvement:
    """Expected hypervolume improvement (candidates,) of independent normals over the points that `add` collects.

    means, stds: (candidates, objectives) of losses. reference: (objectives,); what is not below it in every objective
    is worth nothing. Exact for one objective (expected improvement, Jones et al. 1998) and for two (the sum over
    strips between points, Emmerich et al. 2011). For more, hypervolume is the mean over directions of how far the best
    point reaches in each (Zhang and Golovin, ICML 2020, lemma 5), and improvements are means over samples.
    """

    def __init__(self, means: Floats, stds: Floats, reference: Floats) -> None:
        self._means, self._stds, self._reference = means, np.maximum(stds, 1e-12), reference
        self._points = np.empty((0, len(reference)))

    def add(self, points: Floats) -> None:
        """(points, objectives) that are there, or are as good as there."""
        self._points = np.concatenate([self._points, points[(points < self._reference).all(axis=1)]])

    def of(self, rows: NDArray[np.intp], roughly: bool = False) -> Floats:
        """(rows,) of these candidates; `roughly` is as exact as without for up to two objectives."""
        means, stds = self._means[rows], self._stds[rows]
        if means.shape[1] == 1:
            best = min(self._reference[0], self._points.min(initial=np.inf))
            return _below(means[:, 0], stds[:, 0])(best)
        if means.shape[1] == 2:
            return _by_strips(means, stds, self._points, self._reference)
        return _by_directions(means, stds, self._points, self._reference, ROUGHLY if roughly else 1)


def _below(means: Floats, stds: Floats) -> Callable[[float], Floats]:
    """By how much each normal is expected to lie below a bound: E[max(0, bound - y)]."""

    def expected(bound: float) -> Floats:
        z = (bound - means) / stds
        return (bound - means) * ndtr(z) + stds * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)

    return expected


def _by_strips(means: Floats, stds: Floats, points: Floats, reference: Floats) -> Floats:
    """Between two neighbours of the front, what is won is a product of two lengths, which are independent."""
    if len(points):
        points = points[moocore.is_nondominated(points)]
        points = points[np.argsort(points[:, 0])]
    ends = [*points[:, 0], reference[0]]
    ceilings = [reference[1], *points[:, 1]]
    along, under = _below(means[:, 0], stds[:, 0]), _below(means[:, 1], stds[:, 1])
    total, before = np.zeros(len(means)), np.zeros(len(means))
    for end, ceiling in zip(ends, ceilings, strict=True):
        reached = along(end)
        total += (reached - before) * under(ceiling)
        before = reached
    return total


def _by_directions(means: Floats, stds: Floats, points: Floats, reference: Floats, fewer: int) -> Floats:
    num = means.shape[1]
    draws = ndtri(np.clip(qmc.Sobol(2 * num, seed=0).random(NUM_DIRECTIONS // fewer), 1e-6, 1 - 1e-6))
    directions = np.abs(draws[:, :num])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    span = reference - np.minimum(points.min(axis=0, initial=np.inf), means.min(axis=0))
    per_unit = (1 / (directions * span)).astype(np.float32)

    def reach(values: Floats) -> NDArray[np.float32]:
        """(values, directions), to the power of the number of objectives."""
        gaps = np.maximum(reference - values, 0.0).astype(np.float32)
        least = gaps[:, :1] * per_unit[:, 0]
        for j in range(1, num):
            np.minimum(least, gaps[:, j : j + 1] * per_unit[:, j], out=least)
        return least**num

    best = reach(points).max(axis=0, initial=0.0)
    total, samples = np.zeros(len(means)), draws[: NUM_SAMPLES // fewer, num:]
    for start in range(0, len(means), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        for draw in samples:
            total[some] += np.maximum(reach(means[some] + stds[some] * draw) - best, 0.0).mean(axis=1)
    return total / len(samples)

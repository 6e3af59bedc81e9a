"""Latencies of parts: their sums, and what a predictor makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from predictors import LatencyPredictor
from predictors.rows import Rows, as_rows
from search_space import Architecture, UserError
from snugnet.estimates import sources_of
from snugnet.parts import COPIES, examples, parts_of, sums_of_parts
from supernet.cost import cost
from tests.snugnet.test_estimates import FLOPS, SPACE, TASK


def measured(device_id: str = "here") -> list[dict[str, Any]]:
    """Rows of all parts on a machine that takes a nanosecond for each operation."""
    return [
        {"device_id": device_id, "id": part.id, "latency_ms": 1e-6 * cost(part, TASK).flops, "error": None}
        for part in parts_of(SPACE)
    ]


def rows_of(architectures: list[Architecture]) -> Rows:
    return as_rows([SPACE.choices(architecture) for architecture in architectures])


def test_sums_are_exact_where_parts_do_not_disturb_each_other() -> None:
    sums = sums_of_parts(measured(), SPACE)
    assert [architecture for architecture, _ in sums] == examples(SPACE)
    np.testing.assert_allclose([ms for _, ms in sums], [1e-6 * FLOPS(architecture) for architecture, _ in sums])


def test_parts_are_few_small_and_always_the_same() -> None:
    parts = parts_of(SPACE)
    assert parts == parts_of(SPACE)
    assert len(parts) < 50 < SPACE.size / 100
    assert {len(stage.blocks) for part in parts for stage in part.stages} == {0, COPIES}


@pytest.mark.parametrize("share", [0.5, 1])
def test_architectures_with_a_part_that_failed_are_left_out(share: float) -> None:
    rows = measured()
    rows[round(share * (len(rows) - 1))] |= {"latency_ms": None, "error": "no memory"}
    sums = sums_of_parts(rows, SPACE)
    assert 20 <= len(sums) < len(examples(SPACE))
    np.testing.assert_allclose([ms for _, ms in sums], [1e-6 * FLOPS(architecture) for architecture, _ in sums])


def test_too_few_parts_are_refused() -> None:
    with pytest.raises(UserError, match=r"0 of \d+ random architectures have all parts measured"):
        sums_of_parts(measured()[::2], SPACE)


def test_the_parts_of_a_device_teach_its_predictor_what_few_rows_cannot() -> None:
    generator = np.random.default_rng(1)
    drawn = [SPACE.sample(generator) for _ in range(105)]

    def truth(architecture: Architecture) -> float:
        """Parts in company are slower, the more of them there are."""
        return 1e-6 * FLOPS(architecture) * (1 + 0.03 * sum(len(stage.blocks) for stage in architecture.stages))

    rows, latencies = rows_of(drawn), np.array([truth(a) for a in drawn])

    def error(parts: list[dict[str, Any]]) -> float:
        predictor = LatencyPredictor().fit(rows[:5], latencies[:5], sources=sources_of([], parts, "here", SPACE))
        return float(np.mean(np.abs(np.asarray(predictor.predict(rows[5:])) / latencies[5:] - 1)))

    assert sources_of([], measured("there"), "here", SPACE) == []
    assert error(measured()) < 0.04 < 0.1 < error([])

"""Latencies of parts: their sums, and what a predictor makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from predictors.rows import Rows, as_rows
from search_space import Architecture, UserError
from snugnet.estimates import Background
from snugnet.parts import COPIES, SumOfParts, examples, parts_of
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
    generator = np.random.default_rng(1)
    drawn = [SPACE.sample(generator) for _ in range(50)]
    np.testing.assert_allclose(SumOfParts(measured(), SPACE)(rows_of(drawn)), [1e-6 * FLOPS(a) for a in drawn])


def test_parts_are_few_small_and_always_the_same() -> None:
    parts = parts_of(SPACE)
    assert parts == parts_of(SPACE)
    assert len(parts) < 50 < SPACE.size / 100
    assert {len(stage.blocks) for part in parts for stage in part.stages} == {0, COPIES}


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_what_a_missing_part_costs_is_predicted(share: float) -> None:
    rows = measured()
    missing = round(share * (len(rows) - 1))
    rows[missing] |= {"latency_ms": None, "error": "no memory"}
    truth = np.array([1e-6 * FLOPS(a) for a in examples(SPACE)])
    sums = SumOfParts(rows, SPACE)(rows_of(examples(SPACE)))
    affected = ~np.isclose(sums, truth)
    assert affected.any()
    assert np.median(np.abs(sums / truth - 1)[affected]) < 0.35


def test_too_few_parts_are_refused() -> None:
    with pytest.raises(UserError, match=r"0 of \d+ random architectures have all parts measured"):
        SumOfParts(measured()[::2], SPACE)


def test_the_parts_of_a_device_teach_its_predictor_what_few_rows_cannot() -> None:
    generator = np.random.default_rng(1)
    drawn = [SPACE.sample(generator) for _ in range(105)]

    def truth(architecture: Architecture) -> float:
        """Parts in company are slower, the more of them there are."""
        return 1e-6 * FLOPS(architecture) * (1 + 0.03 * sum(len(stage.blocks) for stage in architecture.stages))

    rows, latencies = rows_of(drawn), np.array([truth(a) for a in drawn])

    def error(parts: list[dict[str, Any]]) -> float:
        predictor = Background.of([], parts, "here", SPACE).fit("auto", rows[:5], latencies[:5].tolist())
        return float(np.mean(np.abs(np.asarray(predictor.predict(rows[5:])) / latencies[5:] - 1)))

    assert Background.of([], measured("there"), "here", SPACE).base is None
    assert error(measured()) < 0.02 < 0.1 < error([])

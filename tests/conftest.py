"""Property tests draw the same examples on every run, and take the time that a busy machine needs."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("snugnet", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("snugnet")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--component",
        action="append",
        default=[],
        metavar="PATH",
        help="the conformance suite for this component from outside, package.module or package.Class, and no other",
    )

"""Property tests draw the same examples on every run, and take the time that a busy machine needs."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("snugnet", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("snugnet")

# What a shell starts in the background ignores SIGINT, and so would the commands that tests start and interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--component",
        action="append",
        default=[],
        metavar="PATH",
        help="the conformance suite for this component from outside, package.module or package.Class, and no other",
    )

"""A connection to Ray: a private cluster of this machine, or one that is already running."""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from search.scratch import scratch_folder
from search_space import UserError

LOCAL = "local"

CLIENT = "ray://"
"""Begins the address of a cluster that this machine is no part of."""

PATIENCE_S = 60
"""How long a running cluster may take to answer. Ray itself would try for two minutes."""

_ADVICE = "start one with `ray start --head`, or use --address local"
_PROBE = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='CRITICAL')"


@contextmanager
def connected(address: str, min_cpus: float = 1) -> Iterator[None]:
    """Ray connected to `address` ("local", "auto", host:port or ray://host:port) for the time of the context.

    "local" starts a private cluster with one CPU for each core, or `min_cpus` if that is more. It listens on the
    loopback interface only, is guarded by a token, writes nothing into the home directory and ends with the context.
    A process that is already connected stays as it is. Raises UserError when no cluster answers.
    """
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    handlers = _handlers()
    try:
        with _local(max(num_cores(), min_cpus)) if address == LOCAL else _remote(address):
            _set(handlers)
            yield
    finally:
        _set(handlers)


@contextmanager
def _local(num_cpus: float) -> Iterator[None]:
    # Ray reads this on every system when it is imported. Unset, on Linux its servers listen on all interfaces.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    # Ray's workers give way to every other process unless told otherwise; these measure latency.
    os.environ.setdefault("RAY_worker_niceness", "0")
    given = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys()
    if not given and not (Path.home() / ".ray" / "auth_token").exists():
        # Ray would write a token into the home directory, which may not be writable.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    import ray

    with scratch_folder() as folder:
        try:
            ray.init(
                address="local",
                num_cpus=num_cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                object_store_memory=128 * 1024**2,
                # A folder within: Ray opens its own to every user.
                _temp_dir=str(folder / "ray"),
            )
            yield
        finally:
            ray.shutdown()


@contextmanager
def _remote(address: str) -> Iterator[None]:
    if "://" in address and not address.startswith(CLIENT):
        raise UserError(f"address {address!r} is none of a Ray cluster; give host:port, auto or {CLIENT}host:port")
    if address.startswith(CLIENT) and importlib.util.find_spec("grpc") is None:
        raise UserError(f"{CLIENT} needs grpcio; install it with: pip install 'snugnet[client]'")
    try:
        # In a process of its own: an attempt to connect cannot be given up, and ends the process where it fails.
        subprocess.run([sys.executable, "-c", _PROBE, address], capture_output=True, timeout=PATIENCE_S, check=True)
    except subprocess.TimeoutExpired:
        raise UserError(f"no Ray cluster answered at {address} within {PATIENCE_S} s; {_ADVICE}") from None
    except subprocess.CalledProcessError as error:
        if b"AuthenticationError" in error.stderr:
            raise UserError(
                f"the Ray cluster at {address} asks for a token; "
                "copy ~/.ray/auth_token from one of its nodes and set RAY_AUTH_MODE=token"
            ) from None
        reason = " ".join(error.stderr.decode(errors="replace").strip().splitlines()[-1:])
        raise UserError(f"no Ray cluster could be reached at {address} ({reason}); {_ADVICE}") from None
    import ray

    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
        yield
    finally:
        ray.shutdown()


def _handlers() -> dict[int, Any]:
    """Of the signals that Ray takes for itself and does not give back; none where it cannot."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}


def _set(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def num_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

from __future__ import annotations

import socket

import pytest

import search.cluster
from search.cluster import connected
from search_space import UserError


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search.cluster, "PATIENCE_S", 2)


def test_an_address_where_nothing_speaks_ray_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with (
            pytest.raises(UserError, match=f"no Ray cluster answered at {address} within 2 s; start one"),
            connected(address),
        ):
            pass


def test_a_reason_to_refuse_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search.cluster, "_PROBE", "import sys; sys.exit('the versions differ at ' + sys.argv[1])")
    with pytest.raises(UserError, match=r"reached at here:1 \(the versions differ at here:1\)"), connected("here:1"):
        pass


def test_an_address_of_something_else_is_refused() -> None:
    with pytest.raises(UserError, match="'http://head:80' is none of a Ray cluster; give"), connected("http://head:80"):
        pass


def test_a_client_without_grpc_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'snugnet\[client\]'"), connected("ray://head:10001"):
        pass


def test_a_cluster_that_asks_for_a_token_says_where_to_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = "ray.exceptions.AuthenticationError: no authentication token was found"
    monkeypatch.setattr(search.cluster, "_PROBE", f"import sys; sys.exit('{refusal}')")
    with pytest.raises(UserError, match=r"asks for a token; copy ~/.ray/auth_token .* RAY_AUTH_MODE=token"):
        connected("here:1").__enter__()

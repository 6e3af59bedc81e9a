"""Architectures as values: one spelling, one id, and clear refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from search_space import Architecture, Block, Component, Stage, UserError

A = Architecture(
    Component("patch", stride=2),
    (Stage(8, (Block(Component("depthwise", kernel_size=3), Component("mlp", expansion=4.0)),)),),
)


def test_one_spelling_of_a_number() -> None:
    assert Component("mlp", expansion=4.0) == Component("mlp", expansion=4)
    assert Component("mlp", expansion=1.5) != Component("mlp", expansion=1)
    assert '"expansion":4,' in A.to_json()


def test_the_id_is_a_stable_name() -> None:
    """The id names files and rows that outlive a version: this value may never change."""
    assert A.id == "827466d69223dd0f"


def test_another_residual_is_another_architecture() -> None:
    other = replace(A, residual=Component("post_norm"))
    assert other.id != A.id
    assert Architecture.from_json(other.to_json()) == other
    assert replace(other, residual=Component("pre_norm")).id == A.id


def test_flat_names_every_fact() -> None:
    assert A.flat()["stages.0.blocks.0.mixer.depthwise.kernel_size"] == 3
    assert A.flat()["stages.0.depth"] == 1


def changed(path: list[Any], value: Any) -> str:
    data: Any = A.to_dict()
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(data)


WRONG = {
    "not JSON": ("{", "not JSON"),
    "a list": ("[]", "must be a table"),
    "no stages": (changed(["stages"], []), "at least one stage"),
    "key missing": ("{}", "has keys"),
    "width of zero": (changed(["stages", 0, "width"], 0), r"stages\.0\.width=0"),
    "width of text": (changed(["stages", 0, "width"], "8"), r"stages\.0\.width='8'"),
    "blocks of text": (changed(["stages", 0, "blocks"], "x"), "must be a list of blocks"),
    "component of text": (changed(["stem"], "patch"), "stem must be a table with a name"),
    "option of list": (changed(["stem", "stride"], [2]), r"stem\.stride=\[2\]"),
    "option of null": (changed(["stem", "stride"], None), "must be a number or a string"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_what_is_no_architecture_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as refusal:
        Architecture.from_json(text)
    assert "\n" not in str(refusal.value)

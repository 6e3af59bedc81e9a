"""Device: identity, round trip, refusals."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from search_space import UserError
from supernet.device import Device, this_device
from supernet.machine import available_cores

HERE = this_device((1, 8, 8))


def test_json_round_trip_keeps_equality_hash_and_id() -> None:
    again = Device.from_json(HERE.to_json())
    assert again == HERE
    assert hash(again) == hash(HERE)
    assert again.id == HERE.id


def test_every_field_is_part_of_the_identity() -> None:
    others: dict[str, object] = {
        "kind": "cuda",
        "vendor": "another",
        "name": "another",
        "cores": 1000,
        "memory_gib": 1,
        "threads": 2,
        "dtype": "bfloat16",
        "batch_size": 2,
        "input_shape": (1, 8, 9),
        "backend": "onnxruntime",
        "channels_last": True,
        "torch": "0",
        "onnxruntime": "0",
    }
    assert set(others) == {field.name for field in fields(Device)}
    ids = {replace(HERE, **{key: value}).id for key, value in others.items()}  # type: ignore[arg-type]
    assert len(ids | {HERE.id}) == len(others) + 1


def test_names_this_processor() -> None:
    assert HERE.name
    HERE.require_here()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "int3"}, r"dtype='int3' is not one of \('float32'"),
        ({"batch_size": 0}, "batch_size=0 must be a whole number"),
        ({"input_shape": (3,)}, r"input_shape=\(3,\) must be \(channels"),
        ({"input_shape": (3, 16), "channels_last": True}, "channels_last needs"),
        ({"backend": "onnxruntime", "dtype": "bfloat16"}, "runs float32 on the cpu"),
        ({"backend": "cuda_graph"}, "needs device.kind='cuda'"),
    ],
)
def test_refuses_what_cannot_be_measured(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(HERE, **change)  # type: ignore[arg-type]


def test_refuses_more_threads_than_cores() -> None:
    with pytest.raises(UserError, match="cores; ask for no more"):
        this_device((1, 8, 8), threads=available_cores() + 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA GPU")
def test_refuses_an_absent_gpu() -> None:
    with pytest.raises(UserError, match="no CUDA GPU here"):
        this_device((1, 8, 8), kind="cuda")


def test_refuses_another_machine() -> None:
    with pytest.raises(UserError, match=r"device\.name='another' but this machine has"):
        replace(HERE, name="another").require_here()


@pytest.mark.parametrize("text", ["", "[]", '{"kind":"cpu"}', HERE.to_json().replace("[1,8,8]", "8")])
def test_refuses_what_is_not_a_device(text: str) -> None:
    with pytest.raises(UserError, match="a device is"):
        Device.from_json(text)

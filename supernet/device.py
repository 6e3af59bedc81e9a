"""Device: everything a latency depends on besides the network, as a value with a content id."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from importlib.metadata import version
from typing import Any

import torch

from search_space import UserError
from supernet.machine import gpu, processor

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

BACKENDS = ("eager", "compiled", "onnxruntime", "cuda_graph")
"""PyTorch as it is; through torch.compile; exported to ONNX; its kernels recorded once as a CUDA graph and replayed."""

_ACCEPTED = {"kind": ("cpu", "cuda"), "dtype": tuple(DTYPES), "backend": BACKENDS}


@dataclass(frozen=True)
class Device:
    """Where and how a latency is measured. Two latencies may be compared only when their devices are equal.

    `vendor`, `name` (the model), `cores` and `memory_gib` are the processor's or GPU's, as the system reports them;
    `input_shape` is (channels, *spatial), without the batch. Raises UserError for a combination that cannot be
    measured.
    """

    kind: str
    vendor: str
    name: str
    cores: int
    memory_gib: int
    threads: int
    dtype: str
    batch_size: int
    input_shape: tuple[int, ...]
    backend: str
    channels_last: bool
    torch: str
    onnxruntime: str

    def __post_init__(self) -> None:
        for key, accepted in _ACCEPTED.items():
            if getattr(self, key) not in accepted:
                raise UserError(f"device.{key}={getattr(self, key)!r} is not one of {accepted}; choose one of these")
        for key in ("cores", "threads", "batch_size"):
            if not _positive(value := getattr(self, key)):
                raise UserError(f"device.{key}={value!r} must be a whole number of at least 1")
        if not 2 <= len(self.input_shape) <= 4 or not all(map(_positive, self.input_shape)):
            raise UserError(f"device.input_shape={self.input_shape!r} must be (channels, *spatial) with 1 to 3 sizes")
        if self.channels_last and len(self.input_shape) != 3:
            raise UserError(
                f"device.channels_last needs (channels, height, width), not {self.input_shape!r}; leave it off"
            )
        if self.backend == "onnxruntime" and (self.kind, self.dtype) != ("cpu", "float32"):
            raise UserError("device.backend='onnxruntime' runs float32 on the cpu; use 'eager' for the rest")
        if self.backend == "cuda_graph" and self.kind != "cuda":
            raise UserError("device.backend='cuda_graph' needs device.kind='cuda'; use 'eager' on the cpu")

    @cached_property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """(batch, channels, *spatial)."""
        return (self.batch_size, *self.input_shape)

    def describe(self) -> str:
        """For a person, on one line."""
        threads = f", {self.threads} thread{'s' if self.threads > 1 else ''}" if self.kind == "cpu" else ""
        return f"{self.name}{threads}, batch {self.batch_size}, {self.dtype}, {self.backend}"

    def to_json(self) -> str:
        """Canonical: sorted keys, no spaces."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Device:
        """Read what `to_json` wrote. Raises UserError for anything else."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise UserError(f"a device is written as JSON, but this is not JSON: {error}") from None
        accepted = sorted(field.name for field in fields(cls))
        if not isinstance(data, dict) or sorted(data) != accepted or not isinstance(data["input_shape"], list):
            raise UserError(f"a device is a JSON object with exactly the keys {accepted}, not {text[:80]}")
        return cls(**{**data, "input_shape": tuple(data["input_shape"])})

    def require_here(self) -> None:
        """Raise UserError, naming the first difference, unless this process can measure this device."""
        here = this_device(self.input_shape, kind=self.kind, **_settings(self))
        for key, value in asdict(self).items():
            if value != getattr(here, key):
                raise UserError(f"device.{key}={value!r} but this machine has {getattr(here, key)!r}; measure there")


def this_device(
    input_shape: tuple[int, ...],
    *,
    kind: str = "cpu",
    threads: int = 1,
    dtype: str = "float32",
    batch_size: int = 1,
    backend: str = "eager",
    channels_last: bool = False,
) -> Device:
    """The device of this process. Raises UserError when the machine lacks what is asked for.

    `channels_last` lays (batch, channels, height, width) out with the channels innermost.
    """
    hardware = processor()
    device = Device(
        kind=kind,
        **asdict(hardware),
        threads=threads,
        dtype=dtype,
        batch_size=batch_size,
        input_shape=tuple(input_shape),
        backend=backend,
        channels_last=channels_last,
        torch=str(torch.__version__),
        onnxruntime=version("onnxruntime"),
    )
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError("device.kind='cuda' but torch sees no CUDA GPU here; use kind='cpu' or a machine with a GPU")
    if threads > hardware.cores:
        raise UserError(f"device.threads={threads} but this process may use {hardware.cores} cores; ask for no more")
    return replace(device, **asdict(gpu())) if kind == "cuda" else device


def _settings(device: Device) -> dict[str, Any]:
    return {key: getattr(device, key) for key in ("threads", "dtype", "batch_size", "backend", "channels_last")}


def _positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1

"""Backends: make a network callable the way a Device says."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search_space import UserError
from supernet.device import DTYPES, Device
from supernet.export import export_onnx, load_onnx_session
from supernet.timers import Call


def load(model: nn.Module | Path, device: Device) -> Call:
    """A call that runs the network once on one fixed random batch.

    A module is copied, so the given one keeps its mode, dtype and place. A path names an ONNX file, for the backend
    onnxruntime, which exports a module first. Raises UserError.
    """
    if device.backend != "onnxruntime":
        if not isinstance(model, nn.Module):
            raise UserError(f"{model} is a file, which needs device.backend='onnxruntime', not {device.backend!r}")
        return _torch(model, device)
    if not isinstance(model, nn.Module):
        return _onnxruntime(model, device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export_onnx(model, device.input_shape, path)
        return _onnxruntime(path, device)


def reference(device: Device, network: nn.Module | None = None) -> Call:
    """A call of the network whose timings follow the machine's speed; without one, of four inverted-bottleneck blocks
    on 14×14 positions.

    It has to notice the machine's changes, not the backend's: so it is not compiled and not exported.
    """
    if network is not None:
        return _torch(network, device if device.backend == "cuda_graph" else replace(device, backend="eager"))
    generator = torch.Generator().manual_seed(0)

    def weight(*shape: int) -> Tensor:
        fan_in = torch.Size(shape[1:]).numel()
        return (torch.randn(shape, generator=generator) / fan_in**0.5).to(device.kind, DTYPES[device.dtype])

    x = weight(64 if device.kind == "cuda" else 1, 48, 14, 14)
    blocks = [(weight(48, 1, 5, 5), weight(192, 48, 1, 1), weight(48, 192, 1, 1)) for _ in range(4)]

    def call() -> Tensor:
        y = x
        for depthwise, expand, project in blocks:
            z = F.group_norm(F.conv2d(y, depthwise, padding=2, groups=48), 1)
            y = y + F.conv2d(F.gelu(F.conv2d(z, expand)), project)
        return y

    return call


def _torch(model: nn.Module, device: Device) -> Call:
    network = copy.deepcopy(model).eval().requires_grad_(False).to(device.kind, DTYPES[device.dtype])
    x = _batch(device).to(device.kind, DTYPES[device.dtype])
    if device.channels_last:
        for weight in network.parameters():
            if weight.dim() == 4:  # nn.Module.to() would refuse a component that keeps a weight of five dimensions
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
    if device.backend == "cuda_graph":
        return _recorded(network, x)
    forward = torch.compile(network) if device.backend == "compiled" else network
    return lambda: forward(x)


def _recorded(network: nn.Module, x: Tensor) -> Call:
    """A CUDA graph of one forward pass; what is set up at first use runs before, on a stream of its own."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.inference_mode():
        with torch.cuda.stream(aside):
            for _ in range(3):
                network(x)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            network(x)
    return graph.replay


def _onnxruntime(path: Path, device: Device) -> Call:
    session = load_onnx_session(path, device.threads)
    accepted = session.get_inputs()[0]
    fits = len(accepted.shape) == len(device.batch_shape) and all(
        isinstance(has, str) or has == wanted for has, wanted in zip(accepted.shape, device.batch_shape, strict=True)
    )
    if not fits:
        raise UserError(f"{path} takes inputs of shape {accepted.shape}, but the device's are {device.batch_shape}")
    feed = {accepted.name: _batch(device).numpy()}
    return lambda: session.run(None, feed)


def _batch(device: Device) -> Tensor:
    return torch.randn(device.batch_shape, generator=torch.Generator().manual_seed(0))

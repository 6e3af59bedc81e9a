"""The public tables of measured architectures, as predictors take them: rows of choices, columns of measurements."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

Floats = np.ndarray[Any, np.dtype[np.float64]]
Rows = list[dict[str, Any]]

STAGES = ((16, 1, 1), (24, 4, 2), (32, 4, 2), (64, 4, 2), (112, 4, 1), (184, 4, 2), (352, 1, 1))
"""FBNet's (Wu et al., CVPR 2019, table 1): channels, blocks, stride of the first; behind 16 channels of 112 x 112."""

OPERATORS = ((3, 1, 1), (3, 1, 2), (3, 3, 1), (3, 6, 1), (5, 1, 1), (5, 1, 2), (5, 3, 1), (5, 6, 1))
"""FBNet's (table 2): kernel, expansion and groups of the pointwise convolutions. The ninth is to skip the block."""


PATHS = (("e03",), ("e01", "e13"), ("e02", "e23"), ("e01", "e12", "e23"))
"""Ways from the input to the output of a cell of NAS-Bench-201 (Dong & Yang, ICLR 2020, figure 1)."""

KINDS_OF_OPERATORS = {
    "wide": ("nor_conv_3x3",),
    "pointwise": ("nor_conv_1x1",),
    "convolution": ("nor_conv_3x3", "nor_conv_1x1"),
    "pooling": ("avg_pool_3x3",),
    "skip": ("skip_connect",),
}
"""Its operators by names without numbers, which in names of choices are positions."""


class MeasuredTable(NamedTuple):
    """Rows of choices, and by name the columns measured of them: latencies in ms, accuracies as fractions."""

    name: str
    rows: Rows
    columns: dict[str, Floats]


def read_tables(folder: Path) -> Iterator[MeasuredTable]:
    """All of them; NAS-Bench-201 without its disconnected architectures and twins, HAT as one for each device.

    `nb201_zero_cost` has the accuracy from what the cells' paths hold and 13 zero-cost proxies (Abdelfattah et al.,
    ICLR 2021), which cost a forward and a backward pass of one batch.
    """
    nb201 = pq.read_table(folder / "nb201.parquet", filters=[("reachable_unique", "=", True)])
    accuracy = {"accuracy": nb201["c10_val_acc_ep200"].to_numpy() / 100}
    rows = nb201.select(["e01", "e02", "e12", "e03", "e13", "e23"]).to_pylist()
    yield MeasuredTable("nb201", rows, latencies(nb201) | accuracy)
    proxies = pq.read_table(folder / "nb201_zero_cost.parquet").to_pylist()
    by_number = dict(zip(nb201["arch_idx"].to_pylist(), zip(rows, accuracy["accuracy"], strict=True), strict=True))
    known = [(by_number[row.pop("arch_idx")], row) for row in proxies if row["arch_idx"] in by_number]
    described = [cell_row(cell) | proxy for (cell, _), proxy in known]
    yield MeasuredTable("nb201_zero_cost", described, {"accuracy": np.array([value for (_, value), _ in known])})
    fbnet = pq.read_table(folder / "fbnet.parquet")
    codes = fbnet.select([f"op{i:02}" for i in range(22)]).to_pylist()
    yield MeasuredTable("fbnet", [fbnet_row(list(row.values())) for row in codes], latencies(fbnet))
    hat = pq.read_table(folder / "hat_wmt14ende.parquet")
    for device in sorted(set(hat["device"].to_pylist())):
        part = hat.filter(np.array(hat["device"].to_pylist()) == device)
        rows = part.select([name for name in hat.column_names if name.startswith(("encoder", "decoder"))]).to_pylist()
        both = part["latency_mean_encoder_ms"].to_numpy() + part["latency_mean_decoder_ms"].to_numpy()
        yield MeasuredTable("hat", rows, {f"{device}_ms": both})
    accel = pq.read_table(folder / "accel_nasbench.parquet")
    rows = accel.select([name for name in accel.column_names if name.startswith("block")]).to_pylist()
    measured = {
        "a100_ms": 1000 / accel["throughput_a100_mean"].to_numpy(),
        "accuracy": accel["val_top1"].to_numpy() / 100,
    }
    yield MeasuredTable("accel", rows, measured)


def latencies(table: Any) -> dict[str, Floats]:
    return {name: table[name].to_numpy() for name in table.column_names if name.endswith("_ms")}


def cell_row(cell: dict[str, Any]) -> dict[str, Any]:
    """What the paths hold on which something flows: how many there are, their longest, and for each operator how often
    it stands on them, with the most, the fewest and the mean on one path; the same of both convolutions.
    """
    open_paths = [path for path in PATHS if all(cell[edge] != "none" for edge in path)]
    flowing = [[cell[edge] for edge in path] for path in open_paths]
    edges = {edge for path in open_paths for edge in path}
    row: dict[str, Any] = {"paths": len(flowing), "longest": max(map(len, flowing), default=0)}
    row["residual"] = any(set(path) == {"skip_connect"} for path in flowing) + 0
    for name, operators in KINDS_OF_OPERATORS.items():
        counts = [sum(operator in operators for operator in path) for path in flowing] or [0]
        row |= {f"{name}_most": max(counts), f"{name}_fewest": min(counts), f"{name}_mean": float(np.mean(counts))}
        row[f"{name}_edges"] = sum(cell[edge] in operators for edge in edges)
    return row


def fbnet_row(codes: list[int]) -> dict[str, Any]:
    """The operators by name, and for each what it computes and moves, in millions, from its definition alone."""
    row: dict[str, Any] = {}
    channels, size, blocks = 16, 112, iter(enumerate(codes))
    for width, number, first_stride in STAGES:
        for block in range(number):
            i, code = next(blocks)
            stride = first_stride if block == 0 else 1
            row[f"operator.{i}.name"] = f"code {code}"
            costs = operator_costs(code, channels, width, size, stride)
            row |= {f"operator.{i}.{name}": value for name, value in costs.items()}
            channels, size = width, size // stride
    return row


def operator_costs(code: int, channels: int, width: int, size: int, stride: int) -> dict[str, float]:
    """Multiply-adds of pointwise and depthwise convolutions, values written, weights: in millions; and convolutions."""
    out = size // stride
    if code == len(OPERATORS):
        same = channels == width and stride == 1  # else a pointwise convolution stands for the skip
        written = 0 if same else width * out**2
        return {
            "pointwise": channels * written / 1e6,
            "depthwise": 0.0,
            "written": written / 1e6,
            "weights": 0.0 if same else channels * width / 1e6,
            "convolutions": float(not same),
        }
    kernel, expansion, groups = OPERATORS[code]
    inner = channels * expansion
    return {
        "pointwise": (channels * inner * size**2 + inner * width * out**2) / groups / 1e6,
        "depthwise": inner * kernel**2 * out**2 / 1e6,
        "written": (inner * size**2 + inner * out**2 + width * out**2) / 1e6,
        "weights": ((channels + width) * inner / groups + inner * kernel**2) / 1e6,
        "convolutions": 3.0,
    }

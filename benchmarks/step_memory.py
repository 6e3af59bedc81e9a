"""What a training step allocates through the supernet, beside the same step of the extracted network.

The supernet keeps four numbers for each of its parameters: the weight, its gradient and AdamW's two moments. They are
there once, whatever is trained. A step on top of them holds a copy of the subnet's weights, their gradients, and the
subnet's activations. Peaks are exact counts of what PyTorch allocates (benchmarks/memory.py).

    python -m benchmarks.step_memory experiments/everything.toml --out step_memory.parquet
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.memory import peak_bytes
from benchmarks.step_cost import alone_step, shared_step
from search_space import Architecture
from snugnet.experiment import read_experiment
from supernet.data import load_data
from supernet.network import Task
from supernet.supernet import Supernet

MIB = 2**20


def measure(name: str, supernet: Supernet, a: Architecture, batch: int) -> dict[str, Any]:
    x = torch.randn(batch, *supernet.task.input_shape)
    labels = torch.randint(supernet.task.num_classes, (batch,))
    peaks = {}
    for key, make in (("shared", shared_step), ("alone", alone_step)):
        step = make(supernet, a, x, labels)
        step()  # makes the optimizer's state
        peaks[key] = peak_bytes(step)
    weights = supernet.weights_for(a).values()
    return {
        "case": name,
        "subnet_bytes": sum(w.numel() * w.element_size() for w in weights),
        "shared_peak_bytes": peaks["shared"],
        "alone_peak_bytes": peaks["alone"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--architectures", type=int, default=6, help="random ones, beside both ends (default 6)")
    parser.add_argument("--batch", type=int, default=64, help="inputs of a step (default 64)")
    parser.add_argument("--out", type=Path, help="a Parquet file for the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    experiment = read_experiment(options.experiment)
    data = load_data(experiment.data, experiment.base)
    space, generator = experiment.space, np.random.default_rng(experiment.seed)
    supernet = Supernet(space, Task(data.input_shape, data.num_classes)).train()
    shared = sum(w.numel() * w.element_size() for w in supernet.weights.values())
    print(f"shared weights {shared / MIB:.1f} MiB; with gradients and AdamW's moments {4 * shared / MIB:.1f} MiB, once")
    cases = [("smallest", space.smallest()), ("largest", space.largest())]
    cases += [(f"random {i}", space.sample(generator)) for i in range(options.architectures)]
    print(f"{'a step of':<12}{'weights MiB':>12}{'shared peak':>12}{'alone peak':>12}{'ratio':>8}")
    rows = []
    for name, architecture in cases:
        row = measure(name, supernet, architecture, options.batch)
        rows.append({**row, "shared_weights_bytes": shared})
        print(
            f"{name:<12}{row['subnet_bytes'] / MIB:>12.2f}{row['shared_peak_bytes'] / MIB:>12.2f}"
            f"{row['alone_peak_bytes'] / MIB:>12.2f}{row['shared_peak_bytes'] / row['alone_peak_bytes']:>8.3f}"
        )
    if options.out:
        pq.write_table(pa.Table.from_pylist(rows), options.out)


if __name__ == "__main__":
    main()

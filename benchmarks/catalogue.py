"""Bring the measured figures into the package and the documentation.

python -m benchmarks.components --out components
SNUGNET_DATA=/path/to/data python -m benchmarks.mixers --out mixers
python -m benchmarks.catalogue components mixers
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import components, mixers
from snugnet.commands.catalogue import catalogue
from studies.table import Table
from supernet.checkpoint import write_atomically

ROOT = Path(__file__).parents[1]


def figures(costs: Table, trained: Table) -> dict[str, Any]:
    accuracies: dict[str, list[float]] = {}
    for row in trained.rows():
        accuracies.setdefault(row["mixer"], []).append(row["accuracy"])
    rows, processors = [], set()
    for row in costs.rows():
        own = accuracies.get(row["name"], []) if row["kind"] == "mixer" else []
        processors.add(json.loads(row["device"])["name"])
        rows.append(
            {
                **{key: row[key] for key in ("kind", "name", "params", "flops", "step_peak_bytes")},
                "latency_ms": [round(row[f"latency_{width}_ms"], 3) for width in components.WIDTHS],
                "step_ratio": round(row["step_ratio"], 2),
                "accuracy": round(float(np.mean(own)), 4) if own else None,
                "accuracy_std": round(float(np.std(own, ddof=1)), 4) if len(own) > 1 else None,
            }
        )
    (processor,) = processors
    return {"processor": processor, "components": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("components", type=Path, help="the table that benchmarks.components wrote")
    parser.add_argument("mixers", type=Path, help="the table that benchmarks.mixers wrote")
    options = parser.parse_args()
    stored = figures(Table(options.components, components.SCHEMA), Table(options.mixers, mixers.SCHEMA))
    write_atomically(ROOT / "snugnet" / "figures.json", (json.dumps(stored, indent=1) + "\n").encode())
    write_atomically(ROOT / "docs" / "catalogue.md", catalogue().markdown().encode())
    print(f"{len(stored['components'])} components: snugnet/figures.json, docs/catalogue.md")


if __name__ == "__main__":
    main()

"""Which columns help to predict the accuracy of networks trained alone, from few that were trained.

Random architectures of an experiment's space are each trained alone for `--steps`. Beside their choices stand columns
that cost no training: FLOPs, parameters and three zero-cost proxies, computed on 64 training rows with the first
weights; and columns that cost a part of it: the accuracy on the search split after a tenth and a quarter of the steps.
Predictors of the last accuracy are fitted with and without them; the table shows Kendall's tau on the other
architectures, the mean over `--seeds` draws of the training rows. An interrupted benchmark continues.

    SNUGNET_DATA=DIR python -m benchmarks.accuracy_columns experiments/fashion_mnist_depthwise.toml --out columns
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.kept_accuracy import distinct
from predictors import AccuracyPredictor
from search_space import Architecture
from snugnet.alone import train_alone
from snugnet.estimates import choices_of
from snugnet.evaluator import inherited, quality_of
from snugnet.experiment import Experiment, read_experiment
from snugnet.progress import Progress
from studies.schema import Column, Schema
from studies.table import Table
from supernet.cost import cost
from supernet.data import Data, batches, load_data
from supernet.network import Network, Task
from supernet.training import Training

SCHEMA = Schema(
    (
        Column("id", "string", "content hash of the architecture"),
        Column("num_steps", "int", "of its training", unit="count"),
        Column("architecture", "string", "canonical JSON of the architecture"),
        Column("params", "int", "trainable values", unit="count"),
        Column("forward_flops", "int", "one forward pass of one input"),
        Column("grad_norm", "float", "norm of the first gradient of the loss", unit="score"),
        Column("synflow", "float", "logarithm of synaptic flow", unit="score"),
        Column("jacov", "float", "how unlike the inputs' Jacobians are", unit="score"),
        Column("tenth", "float", "accuracy on the search split after a tenth of the steps", unit="fraction"),
        Column("quarter", "float", "the same after a quarter", unit="fraction"),
        Column("accuracy", "float", "the same after all", unit="fraction"),
    ),
    key=("id", "num_steps"),
)
PROXY_ROWS = 64
FREE = ("forward_flops", "params")
PROXIES = ("grad_norm", "synflow", "jacov")
COLUMNS: dict[str, tuple[str, ...]] = {
    "choices alone": (),
    "+ FLOPs, parameters": FREE,
    "+ FLOPs, parameters, proxies": (*FREE, *PROXIES),
    "+ accuracy at a tenth": ("tenth",),
    "+ at a tenth and a quarter": ("tenth", "quarter"),
}
NUM_ROWS = (10, 20, 40)

Row = dict[str, Any]


def grad_norm(network: nn.Module, x: Tensor, labels: Tensor) -> float:
    """The norm of the loss's gradient in the first weights (Abdelfattah et al., "Zero-Cost Proxies for Lightweight
    NAS", ICLR 2021, section 3.2).
    """
    gradients = torch.autograd.grad(F.cross_entropy(network(x), labels), list(network.parameters()), allow_unused=True)
    return float(torch.sqrt(torch.stack([g.square().sum() for g in gradients if g is not None]).sum()))


def synflow(network: nn.Module, x: Tensor) -> float:
    """Log of the sum over weights of |weight| times the gradient of the summed outputs, all weights positive and one
    input of ones (Tanaka et al., "Pruning Neural Networks without Any Data by Iteratively Conserving Synaptic Flow",
    NeurIPS 2020, equation 2). Norms are left out, for they would undo the sizes it is about.
    """
    flowing = copy.deepcopy(network)
    for name, module in flowing.named_modules():
        if type(module).__module__.startswith("supernet.norms"):
            parent, _, last = name.rpartition(".")
            setattr(flowing.get_submodule(parent), last, nn.Identity())
    flowing = flowing.double()
    with torch.no_grad():
        for weight in flowing.parameters():
            weight.abs_()
    weights = list(flowing.parameters())
    gradients = torch.autograd.grad(
        flowing(torch.ones_like(x[:1], dtype=torch.double)).sum(), weights, allow_unused=True
    )
    flows = [
        (weight * gradient).sum() for weight, gradient in zip(weights, gradients, strict=True) if gradient is not None
    ]
    return float(torch.stack(flows).sum().log().detach())


def jacov(network: nn.Module, x: Tensor) -> float:
    """How little the Jacobians of different inputs correlate (Mellor et al., "Neural Architecture Search without
    Training", first version, 2020, section 3: minus the sum of log(v + k) + 1 / (v + k) over the eigenvalues v).
    """
    x = x.clone().requires_grad_()
    (jacobians,) = torch.autograd.grad(network(x).sum(), [x])
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(jacobians.flatten(1).double().numpy())) + 1e-5
    return float(-np.sum(np.log(eigenvalues) + 1 / eigenvalues))


def measured(architecture: Architecture, data: Data, experiment: Experiment, num_steps: int) -> Row:
    """A row of the table: proxies with the first weights, then a training and its accuracies on the way."""
    task = Task(data.input_shape, data.num_classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        network = Network(architecture, task).eval()
    x, labels = next(iter(batches(data.train, PROXY_ROWS, experiment.seed)))
    counted = cost(architecture, task)
    proxies = {
        "grad_norm": grad_norm(network, x, labels),
        "synflow": synflow(network, x),
        "jacov": jacov(network, x),
    }
    early: dict[int, float] = {}

    def look(training: Training) -> None:
        if training.step in (num_steps // 10, num_steps // 4):
            now = inherited(training.supernet, architecture, data.train)
            early[training.step] = quality_of(now, data.search).accuracy

    trained = train_alone(architecture, data, experiment.supernet, num_steps, experiment.seed, on_step=look)
    return {
        "id": architecture.id,
        "num_steps": num_steps,
        "architecture": architecture.to_json(),
        "params": counted.params,
        "forward_flops": counted.flops,
        **proxies,
        "tenth": early[num_steps // 10],
        "quarter": early[num_steps // 4],
        "accuracy": quality_of(trained.network, data.search).accuracy,
    }


def ranked(rows: list[Row], columns: tuple[str, ...], experiment: Experiment, number: int, seeds: int) -> list[float]:
    """Kendall's tau on the other rows, for each draw of `number` of them to learn from."""
    described = [
        choices | {name: row[name] for name in columns}
        for choices, row in zip(choices_of(rows, experiment.space), rows, strict=True)
    ]
    accuracy = np.array([row["accuracy"] for row in rows])
    found = []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(rows))
        known, others = order[:number], order[max(NUM_ROWS) :]
        predictor = AccuracyPredictor().fit([described[i] for i in known], accuracy[known])
        found.append(kendalltau(predictor.predict([described[i] for i in others]), accuracy[others]).statistic)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the table")
    parser.add_argument("--architectures", type=int, default=100, help="(default 100)")
    parser.add_argument("--steps", type=int, default=400, help="of each training (default 400)")
    parser.add_argument("--seeds", type=int, default=20, help="draws of training rows (default 20)")
    options = parser.parse_args()
    if options.architectures < 2 * max(NUM_ROWS):
        parser.error(f"--architectures {options.architectures} must be at least {2 * max(NUM_ROWS)}")
    torch.set_num_threads(1)
    experiment = read_experiment(options.experiment)
    data, table = load_data(experiment.data, experiment.base), Table(options.out, SCHEMA)
    chosen = distinct(experiment.space, options.architectures, experiment.seed)
    known = {row["id"] for row in table.rows() if row["num_steps"] == options.steps}
    progress = Progress("networks", len(chosen), len(known))
    for architecture in chosen:
        if architecture.id not in known:
            table.append([measured(architecture, data, experiment, options.steps)])
            progress(progress.done + 1)
    wanted = {architecture.id for architecture in chosen}
    rows = [row for row in table.rows() if row["num_steps"] == options.steps and row["id"] in wanted]
    spread = np.std([row["accuracy"] for row in rows])
    print(f"{len(rows)} networks after {options.steps} steps, standard deviation of accuracy {100 * spread:.2f} points")
    print(f"{'Kendall tau with rows':30}" + "".join(f"{number:>10}" for number in NUM_ROWS))
    for name, columns in COLUMNS.items():
        taus = [np.mean(ranked(rows, columns, experiment, number, options.seeds)) for number in NUM_ROWS]
        print(f"{name:30}" + "".join(f"{tau:10.3f}" for tau in taus))
    for name in (*FREE, *PROXIES, "tenth", "quarter"):
        tau = kendalltau([row[name] for row in rows], [row["accuracy"] for row in rows]).statistic
        print(f"{name + ' by itself':30}{tau:10.3f}")


if __name__ == "__main__":
    main()

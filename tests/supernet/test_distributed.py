"""Two processes train what one trains: the same losses, the same weights in both, and little on the wire."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from search_space import Architecture, UserError, read_space
from supernet import data, distributed
from supernet.distributed import Group
from supernet.network import Network
from supernet.policies.policy import Draw, Policy
from supernet.registry import catalogue
from supernet.settings import HINTS, TrainingSettings
from supernet.supernet import Supernet
from supernet.training import Training
from tests.spaces import TASKS

TASK = TASKS["2-D"]
SPACE = read_space(
    {
        "stem": {"patch": {"stride": 2}},
        "norm": "layer",
        "mixer": {"pooling": {}, "depthwise": {"kernel_size": [3, 5]}},
        "ffn": {"mlp": {"expansion": [1, 2]}},
        "stages": [{"width": [8, 21, 32], "depth": [1, 2]}],
    },
    catalogue(),
)
NUM_STEPS = 5
ROWS = 15
"""Two processes have 7 and 8 of them; of three parts, each has 2 and 3."""

RECIPES: dict[str, dict[str, Any]] = {
    "sandwich": {},
    "teacher, mixup, averages": {"policy": "uniform", "teacher": "given", "mixup": 0.3, "ema_decay": 0.9},
    "learns from losses": {"policy": "shift"},
    "looks at losses": {"policy": "best_up"},
    "splits the batch": {"policy": "multi_architecture", "teacher": "given", "cutmix": 1.0},
    "learns from stages": dict.fromkeys(HINTS, 1.0),
    "given stages": {"policy": "multi_architecture", "teacher": "with stages", **dict.fromkeys(HINTS, 1.0)},
    "drops paths": {"policy": "uniform", "drop_path": 0.4},
}

pytestmark = pytest.mark.xdist_group("two processes")


def batches(step: int) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        generator = torch.Generator().manual_seed(step)
        yield torch.randn(ROWS, *TASK.input_shape, generator=generator), torch.randint(5, (ROWS,), generator=generator)
        step += 1


def of_rows_left(run: Training) -> Callable[[int], Iterator[tuple[Tensor, Tensor]]]:
    """Batches of a split of three, as sample pruning asks for them."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3 * ROWS, *TASK.input_shape, generator=generator)
    channels = torch.zeros(TASK.input_shape[0])
    split = data.Split(images, torch.randint(5, (3 * ROWS,), generator=generator), channels, channels + 1)
    return lambda step: data.batches(split, ROWS, run.seed, step, pass_of=run.pruning)


def nan_in_the_last_row_of_batch_2(step: int) -> Iterator[tuple[Tensor, Tensor]]:
    for number, (x, labels) in enumerate(batches(step), step):
        if number == 2:
            x[-1] = math.nan
        yield x, labels


class Always(Policy):
    """The same architecture in every step."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(1)
        self.architecture = architecture

    def __call__(self, draw: Draw) -> list[Architecture]:
        return [self.architecture]


def training(group: Group, **changes: Any) -> Training:
    torch.manual_seed(5)
    size = math.prod(TASK.input_shape)
    teachers: dict[str | None, Callable[[], nn.Module | None]] = {
        None: lambda: None,
        "given": lambda: nn.Sequential(nn.Flatten(), nn.Linear(size, TASK.num_classes)),
        "with stages": lambda: Network(SPACE.smallest(), TASK),
    }
    teacher = teachers[changes.get("teacher")]()
    given = {"policy": "sandwich", "subnets_per_step": 3, "batch_size": ROWS, "learning_rate": 1e-3}
    settings = TrainingSettings(**{**given, **changes})
    supernet = Supernet(SPACE, TASK)
    return Training(supernet, settings, NUM_STEPS, seed=7, teacher=teacher, group=group, num_rows=3 * ROWS)


def trained(run: Training, data: Callable[[int], Any] = batches, stop_at: int | None = None) -> dict[str, Any]:
    """What a run leaves: the losses and bytes of each step, and all tensors."""
    steps: list[tuple[list[float], int]] = []

    def note(state: Training) -> None:
        steps.append((state.losses, state.group.num_bytes - sum(count for _, count in steps)))

    run.run(data, on_step=note, stop=lambda: run.step == stop_at)
    state = {f"weights/{n}": w for n, w in run.weights().items()} | run.optimizer.state_dict() | run.policy.state_dict()
    state |= run.pruning.state_dict() if run.pruning else {}
    state |= run.hints.weights
    return {
        "losses": [losses for losses, _ in steps],
        "bytes": [count for _, count in steps],
        "skipped": run.num_skipped,
        "state": state,
    }


def everything(group: Group) -> dict[str, dict[str, Any]]:
    runs = {name: trained(training(group, **changes)) for name, changes in RECIPES.items()}
    for policy in ("sandwich", "multi_architecture"):
        pruned = training(group, sample_pruning=0.1, policy=policy)
        runs[f"leaves out rows, {policy}"] = trained(pruned, of_rows_left(pruned))
    runs["nan"] = trained(training(group), nan_in_the_last_row_of_batch_2)
    runs["stopped"] = trained(training(group), stop_at=3 if group.rank == group.size - 1 else None)
    for end, architecture in (("smallest", SPACE.smallest()), ("largest", SPACE.largest())):
        alone = training(group)
        alone.policy = Always(architecture)
        runs[end] = trained(alone)
    return runs


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    distributed.BUCKET_BYTES = 2**14
    torch.save(everything(Group.joined()), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes has when both trained together."""
    folder = tmp_path_factory.mktemp("together")
    spawn(work, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return everything(Group())


@pytest.mark.slow
@pytest.mark.parametrize("name", [*RECIPES, "leaves out rows, sandwich", "leaves out rows, multi_architecture"])
def test_two_processes_train_what_one_trains(name: str, together: list[dict[str, Any]], alone: dict[str, Any]) -> None:
    expected = alone[name]
    for run in (process[name] for process in together):
        assert len(run["losses"]) == NUM_STEPS
        np.testing.assert_allclose(run["losses"], expected["losses"], rtol=1e-5)
        for key, tensor in expected["state"].items():
            torch.testing.assert_close(run["state"][key], tensor, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_both_processes_hold_the_same_bits(together: list[dict[str, Any]]) -> None:
    for name, first in together[0].items():
        second = together[1][name]
        assert first["losses"] == second["losses"]
        assert all(torch.equal(tensor, second["state"][key]) for key, tensor in first["state"].items())


@pytest.mark.slow
def test_a_row_without_a_number_makes_every_process_skip_the_step(
    together: list[dict[str, Any]], alone: dict[str, Any]
) -> None:
    assert [process["nan"]["skipped"] for process in together] == [1, 1]
    np.testing.assert_allclose(together[0]["nan"]["losses"], alone["nan"]["losses"], rtol=1e-5)


@pytest.mark.slow
def test_a_process_that_is_asked_to_stop_stops_all_after_the_same_step(together: list[dict[str, Any]]) -> None:
    assert [len(process["stopped"]["losses"]) for process in together] == [3, 3]


@pytest.mark.slow
def test_a_step_sends_the_bytes_of_the_parts_that_it_reaches(together: list[dict[str, Any]]) -> None:
    """And three numbers: the loss, whether to stop, and the CPU seconds of the logged row."""
    supernet = Supernet(SPACE, TASK)
    for end, architecture in (("smallest", SPACE.smallest()), ("largest", SPACE.largest())):
        params = sum(part.shape.numel() for part in supernet.skeleton(architecture)[1])
        assert together[0][end]["bytes"][1:] == [4 * (params + 3)] * (NUM_STEPS - 1)
    assert together[0]["smallest"]["bytes"][-1] < 0.05 * sum(w.nbytes for w in supernet.weights.values())


def test_every_row_falls_to_one_process() -> None:
    rows = torch.arange(17)
    shares = [Group(rank, 5).share(rows) for rank in range(5)]
    assert torch.equal(torch.cat(shares), rows)
    assert {len(share) for share in shares} == {3, 4}


def test_a_batch_of_too_few_rows_is_refused() -> None:
    training(Group(0, ROWS))
    with pytest.raises(UserError, match=r"batch_size=15 is less .* at least 16"):
        training(Group(0, ROWS + 1))
    training(Group(0, 5), policy="multi_architecture")
    with pytest.raises(UserError, match=r"batch_size=15 is less .* at least 18"):
        training(Group(0, 6), policy="multi_architecture")

"""Skeletons that have modules in common are those that were built alone, and never stand in each other's way."""

from __future__ import annotations

import numpy as np
import torch

from supernet.network import Network
from supernet.skeleton import Skeletons, skeleton
from supernet.supernet import Supernet
from tests.spaces import TASKS, every_component

SPACE = every_component()
TASK = TASKS["2-D"]
GENERATOR = np.random.default_rng(0)
ARCHITECTURES = [SPACE.sample(GENERATOR) for _ in range(12)]


def structure(network: Network) -> list[tuple[str, str, list[tuple[str, torch.Size]]]]:
    return [
        (name, repr(module), [(key, p.shape) for key, p in module.named_parameters(recurse=False)])
        for name, module in network.named_modules(remove_duplicate=False)
    ]


def test_common_modules_make_the_same_networks() -> None:
    skeletons = Skeletons()
    for architecture in ARCHITECTURES * 2:
        assert structure(skeletons(architecture, TASK)) == structure(skeleton(architecture, TASK))


def test_networks_have_modules_in_common_and_none_has_one_twice() -> None:
    skeletons = Skeletons()
    seen: set[int] = set()
    fresh, kept = 0, []
    for architecture in [SPACE.largest(), SPACE.largest(), *ARCHITECTURES]:
        network = skeletons(architecture, TASK)
        kept.append(network)
        components = [m for m in network.modules() if type(m).__module__.startswith("supernet.mixers")]
        assert len({id(m) for m in components}) == len(components)
        places = list(network.named_modules(remove_duplicate=False))
        assert len({id(module) for _, module in places}) == len(places)
        fresh += sum(id(m) not in seen for m in components)
        seen |= {id(m) for m in components}
    assert fresh < sum(len([m for m in n.modules() if type(m).__module__.startswith("supernet.mixers")]) for n in kept)


def test_the_number_of_kept_modules_is_bounded() -> None:
    skeletons = Skeletons()
    first = skeletons(ARCHITECTURES[0], TASK)
    assert skeletons(ARCHITECTURES[0], TASK).stem is first.stem
    skeletons._made |= {number: [] for number in range(2**15)}
    assert skeletons(ARCHITECTURES[0], TASK).stem is not first.stem
    assert len(skeletons._made) < 2**10


def test_every_network_of_a_supernet_is_in_its_mode() -> None:
    supernet = Supernet(SPACE, TASK)
    for turn in range(len(ARCHITECTURES)):
        supernet.train(turn % 3 == 0)
        for architecture in ARCHITECTURES[: turn + 1]:
            network = supernet.skeleton(architecture)[0]
            assert {module.training for module in network.modules()} == {supernet.training}

"""Training policies: which architectures one training step trains. One file each; this is their list."""

from __future__ import annotations

from search_space import UserError
from supernet.policies.attentive import BestUp, WorstUp
from supernet.policies.log_uniform import LogUniform
from supernet.policies.multi_architecture import MultiArchitecture
from supernet.policies.policy import Policy
from supernet.policies.progressive import Progressive
from supernet.policies.sandwich import Sandwich
from supernet.policies.shift import Shift
from supernet.policies.sorted import Sorted
from supernet.policies.uniform import Uniform

POLICIES: dict[str, type[Policy]] = {
    "uniform": Uniform,
    "log_uniform": LogUniform,
    "sandwich": Sandwich,
    "sorted": Sorted,
    "shift": Shift,
    "multi_architecture": MultiArchitecture,
    "progressive": Progressive,
    "best_up": BestUp,
    "worst_up": WorstUp,
}


def policy(name: str, num_subnets: int | None = None) -> Policy:
    """The policy of that name; `num_subnets` architectures a step, its usual number unless given.

    Raises UserError for an unknown name or too few.
    """
    if name not in POLICIES:
        raise UserError(f"supernet.policy={name!r} is not one of ({', '.join(POLICIES)}); choose one of these")
    chosen = POLICIES[name]
    num = chosen.usual if num_subnets is None else num_subnets
    if num < chosen.fewest:
        raise UserError(f"supernet.subnets_per_step={num} is too few for {name}; give at least {chosen.fewest}")
    return chosen(num)

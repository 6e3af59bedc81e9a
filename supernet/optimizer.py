"""AdamW on the parts of the shared weights that the last subnets used, and on nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from supernet.slicing import cut
from supernet.supernet import Part

BETAS = (0.9, 0.99)
EPSILON = 1e-8

VIEWS = 2**14
"""Views kept at most: 4 small objects each."""


class SubnetAdamW:
    """AdamW (Loshchilov & Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2) for shared weights.

    `accumulate` adds the gradients of a subnet's leaves into the shared gradient; `step` updates, in each weight, the
    smallest part that contains all parts accumulated since the last step. Its cost follows the subnets, not the
    supernet. The arithmetic is that of `torch.optim.AdamW(foreach=True)`, to the last bit; without its checks and with
    plain numbers for counts of updates, it takes less time for small parts. Weights of one axis (norms, scales, biases)
    do not decay.
    """

    def __init__(self, weights: Mapping[str, Tensor], *, weight_decay: float = 0.0) -> None:
        self.weight_decay = weight_decay
        weights = {name: weight.detach() for name, weight in weights.items()}
        gradient, first, second = ({n: torch.zeros_like(w) for n, w in weights.items()} for _ in range(3))
        self._tensors = (weights, gradient, first, second)
        self._num_updates = dict.fromkeys(weights, 0)
        self._reached: dict[str, tuple[torch.Size, tuple[int, ...]]] = {}
        self._views: dict[tuple[str, torch.Size], tuple[Tensor, ...]] = {}

    def accumulate(self, parts: Iterable[Part], leaves: Mapping[str, Tensor]) -> None:
        """Add the gradients that a backward pass has left on `leaves`: copies of these parts, by their names."""
        targets, gradients = [], []
        for part in parts:
            gradient = leaves[part.name].grad
            if gradient is None:
                continue
            targets.append(self._parts(part.shared, part.shape, part.centred)[1])
            gradients.append(gradient)
            reached = self._reached.get(part.shared, (part.shape,))[0]
            if reached != part.shape:
                reached = torch.Size(max(a, b) for a, b in zip(reached, part.shape, strict=True))
            self._reached[part.shared] = (reached, part.centred)
        torch._foreach_add_(targets, gradients)

    def gradients(self) -> dict[str, Tensor]:
        """The accumulated gradients, by shared name: views of the parts reached since the last step."""
        return {name: self._parts(name, *reached)[1] for name, reached in self._reached.items()}

    @torch.no_grad()
    def clip(self, max_norm: float) -> float:
        """Scale the accumulated gradients to a joint Euclidean norm of at most `max_norm`; the norm before."""
        gradients = list(self.gradients().values())
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        torch._foreach_mul_(gradients, torch.clamp(max_norm / (norm + 1e-6), max=1.0))
        return float(norm)

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """One update, after which the accumulated gradients are zero again."""
        if not self._reached:
            return
        weights, gradients, first, second = zip(
            *(self._parts(n, *reached) for n, reached in self._reached.items()), strict=True
        )
        beta1, beta2 = BETAS
        rates, corrections = [], []
        for name in self._reached:
            self._num_updates[name] += 1
            rates.append(-learning_rate / (1 - beta1 ** self._num_updates[name]))
            corrections.append(math.sqrt(1 - beta2 ** self._num_updates[name]))
        if self.weight_decay:
            torch._foreach_mul_([w for w in weights if w.dim() > 1], 1 - learning_rate * self.weight_decay)
        torch._foreach_lerp_(first, gradients, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - beta2)
        scale = torch._foreach_sqrt(second)
        torch._foreach_div_(scale, corrections)
        torch._foreach_add_(scale, EPSILON)
        torch._foreach_addcdiv_(weights, first, scale, rates)
        self.discard()

    @torch.no_grad()
    def discard(self) -> None:
        """Forget the accumulated gradients, whatever they hold."""
        torch._foreach_zero_(list(self.gradients().values()))
        self._reached.clear()

    def _parts(self, name: str, shape: torch.Size, centred: tuple[int, ...]) -> tuple[Tensor, ...]:
        """Views of this shape: of the weight, its gradient and both moments. Cached, since making them costs most."""
        key = (name, shape)
        if key not in self._views:
            if len(self._views) >= VIEWS:
                self._views.clear()
            self._views[key] = tuple(cut(tensors[name], shape, centred) for tensors in self._tensors)
        return self._views[key]

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that a resumed run needs, as flat named tensors."""
        state = {}
        for name, num_updates in self._num_updates.items():
            state[f"first_moment/{name}"] = self._tensors[2][name]
            state[f"second_moment/{name}"] = self._tensors[3][name]
            state[f"num_updates/{name}"] = torch.tensor(float(num_updates))
        return state

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        for name in self._num_updates:
            self._tensors[2][name].copy_(state[f"first_moment/{name}"])
            self._tensors[3][name].copy_(state[f"second_moment/{name}"])
            self._num_updates[name] = int(state[f"num_updates/{name}"])

"""Weights whose output keeps its scale, and whose best learning rate stays, when part of their inputs is cut away."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

REFERENCE_FAN_IN = 64
"""The number of inputs at which a scaled weight is an ordinary one; a round number near the widths used here."""


def scaled_weight(*shape: int, inputs: tuple[int, ...] | None = None) -> nn.Parameter:
    """A weight to be read through `scaled`: normal, with the variance that suits `REFERENCE_FAN_IN` inputs.

    `inputs` are the axes that are summed over: all but the first if not given.
    """
    weight = nn.Parameter(torch.empty(shape).normal_(std=REFERENCE_FAN_IN**-0.5))
    weight.input_axes = tuple(range(1, len(shape))) if inputs is None else inputs  # type: ignore[attr-defined]
    return weight


def input_axes(parameter: Tensor) -> tuple[int, ...]:
    """The axes that a scaled weight is summed over; none of any other parameter."""
    return getattr(parameter, "input_axes", ())


def step_scale(shape: Sequence[int], inputs: Sequence[int]) -> float:
    """What the learning rate of a scaled weight's part is multiplied by: sqrt(REFERENCE_FAN_IN / fan_in); else 1.

    Adam moves every weight by about the learning rate, whatever its gradient, and all moves of a row agree. So with
    the factor of `scaled` alone the output would move in proportion to sqrt(fan_in), and wider subnets would need
    lower rates; with this one its moves are of one size at every width.

    Source: Yang et al., "Tensor Programs V: Tuning Large Neural Networks via Zero-Shot Hyperparameter Transfer", 2022,
    table 8 (hidden weights, Adam: a rate of 1 / fan_in for weights that are not scaled).
    """
    return math.sqrt(REFERENCE_FAN_IN / math.prod(shape[axis] for axis in inputs)) if inputs else 1.0


def scaled(weight: Tensor, fan_in: int) -> Tensor:
    """The weight times sqrt(REFERENCE_FAN_IN / fan_in), so that unit-variance inputs give unit-variance outputs.

    A subnet reads a slice of its supernet's weight. With a plain weight the slice that sees a quarter of the inputs
    would answer at half the scale, layer after layer; with the factor in the forward pass every width starts at the
    same scale. The reference keeps stored weights, and so Adam's step relative to them, where they are in an ordinary
    layer.

    Source: Karras et al., "Progressive Growing of GANs", ICLR 2018, section 4.1 (a factor of the fan-in at run time).
    """
    return weight * math.sqrt(REFERENCE_FAN_IN / fan_in)


class Linear(nn.Module):
    """A linear map of the last axis, (..., in_features) -> (..., out_features), with a scaled weight and a bias."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = scaled_weight(out_features, in_features)
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, scaled(self.weight, self.weight.shape[1]), self.bias)

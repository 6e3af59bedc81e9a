"""Weights whose output keeps its scale when part of their inputs is cut away."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

REFERENCE_FAN_IN = 64
"""The number of inputs at which a scaled weight is an ordinary one; a round number near the widths used here."""


def scaled_weight(*shape: int) -> nn.Parameter:
    """A weight to be read through `scaled`: normal, with the variance that suits `REFERENCE_FAN_IN` inputs."""
    return nn.Parameter(torch.empty(shape).normal_(std=REFERENCE_FAN_IN**-0.5))


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

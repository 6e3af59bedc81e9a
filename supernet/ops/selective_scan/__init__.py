"""The selective state space recurrence of Mamba; `reference.py` defines it."""

from __future__ import annotations

from torch import Tensor

from supernet.ops.selective_scan import scan


def selective_scan(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    *,
    delta_softplus: bool = False,
    reverse: bool = False,
) -> Tensor:
    """y_t = C_t h_t + D x_t of the states h_t = exp(delta_t A) h_(t-1) + delta_t B_t x_t, which begin at zero.

    Shapes and meaning as in `reference`; in Triton for tensors on a GPU.
    """
    if x.is_cuda:
        from supernet.ops.selective_scan import triton

        return triton.selective_scan(x, delta, A, B, C, D, delta_softplus=delta_softplus, reverse=reverse)
    return scan.selective_scan(x, delta, A, B, C, D, delta_softplus=delta_softplus, reverse=reverse)

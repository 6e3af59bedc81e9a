"""Convolution whose kernels are computed from the input."""

from supernet.ops.dynamic_convolution.shifted import dynamic_convolution

__all__ = ["dynamic_convolution"]

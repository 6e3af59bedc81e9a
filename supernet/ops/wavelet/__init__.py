"""The Haar wavelet transform of images of any size."""

from supernet.ops.wavelet.haar import analysis, synthesis

__all__ = ["analysis", "synthesis"]

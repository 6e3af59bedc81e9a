"""The discrete Fourier transform of real images, as pairs of real numbers."""

from supernet.ops.fourier.matrices import dft, frequencies, inverse_dft

__all__ = ["dft", "frequencies", "inverse_dft"]

"""Windows and grids: the ways to cut an image into groups of positions that attend to each other."""

from supernet.ops.windows.windows import Grid, Partition, Windows

__all__ = ["Grid", "Partition", "Windows"]

"""Residuals: where a block's norm and factor stand around its mixer and its FFN. One file is one choice."""

"""Readers of recordings: one file per format, and `read`, which chooses among them."""

from neurotorch.data.readers.read import read

__all__ = ["read"]

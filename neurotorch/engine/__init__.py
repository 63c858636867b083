"""Scans over time: the reference loop and its exact adjoint."""

from neurotorch.engine import adjoint, reference
from neurotorch.engine.circuit import Link, Population, Projection, Run

__all__ = ["Link", "Population", "Projection", "Run", "adjoint", "reference"]

"""Least squares for networks of multi-timescale units: one-step fits that are convex, one problem per neuron."""

from neurotorch.learning.convex.moments import OneStepMoments
from neurotorch.learning.convex.shrinkage import Shrinkage
from neurotorch.learning.convex.solution import OneStepSolution

__all__ = ["OneStepMoments", "OneStepSolution", "Shrinkage"]

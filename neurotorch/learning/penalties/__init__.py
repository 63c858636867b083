"""Penalties on effective weights, for constraints that are wishes rather than laws."""

from neurotorch.learning.penalties.dale_penalty import DalePenalty
from neurotorch.learning.penalties.excitatory_fraction import ExcitatoryFraction
from neurotorch.learning.penalties.l1 import L1
from neurotorch.learning.penalties.l2 import L2
from neurotorch.learning.penalties.weight_balance import WeightBalance
from neurotorch.learning.penalties.weight_distance import WeightDistance
from neurotorch.learning.penalties.weight_penalty import WeightPenalty

__all__ = [
    "L1",
    "L2",
    "DalePenalty",
    "ExcitatoryFraction",
    "WeightBalance",
    "WeightDistance",
    "WeightPenalty",
]

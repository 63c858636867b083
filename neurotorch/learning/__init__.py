"""Learning rules, their losses, and how they force a network on its targets."""

from neurotorch.learning.base import BatchReport, LearningRule
from neurotorch.learning.bptt import BPTT
from neurotorch.learning.forcing_plan import ForcingPlan, WarmUp
from neurotorch.learning.least_squares import warm_start
from neurotorch.learning.losses import Loss, MeanSquaredError

__all__ = ["BPTT", "BatchReport", "ForcingPlan", "LearningRule", "Loss", "MeanSquaredError", "WarmUp", "warm_start"]

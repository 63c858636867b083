"""Learning rules, their losses, and how they force a network on its targets."""

from neurotorch.learning.audit import GradientComparison, compare_gradients
from neurotorch.learning.base import BatchReport, LearningRule
from neurotorch.learning.bptt import BPTT
from neurotorch.learning.forcing_plan import ForcingPlan, WarmUp
from neurotorch.learning.gradient_rule import GradientRule
from neurotorch.learning.least_squares import warm_start
from neurotorch.learning.losses import Loss, MeanSquaredError, SummedLoss
from neurotorch.learning.non_finite import NonFiniteError
from neurotorch.learning.penalty import Penalty
from neurotorch.learning.truncated_bptt import TruncatedBPTT

__all__ = [
    "BPTT",
    "BatchReport",
    "ForcingPlan",
    "GradientComparison",
    "GradientRule",
    "LearningRule",
    "Loss",
    "MeanSquaredError",
    "NonFiniteError",
    "Penalty",
    "SummedLoss",
    "TruncatedBPTT",
    "WarmUp",
    "compare_gradients",
    "warm_start",
]

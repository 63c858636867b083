"""Learning rules, their losses, and how they force a network on its targets."""

from neurotorch.learning.audit import GradientComparison, compare_gradients
from neurotorch.learning.base import BatchReport, LearningRule
from neurotorch.learning.bptt import BPTT
from neurotorch.learning.cross_entropy import CrossEntropy, CrossEntropyPerStep, class_target
from neurotorch.learning.eprop import EProp
from neurotorch.learning.feedback import Adaptive, Feedback, Random, Symmetric
from neurotorch.learning.firing_rate_penalty import FiringRatePenalty, RatePenalty
from neurotorch.learning.force import FORCE
from neurotorch.learning.forcing_plan import ForcingPlan, WarmUp
from neurotorch.learning.gradient_rule import GradientRule
from neurotorch.learning.least_squares import warm_start
from neurotorch.learning.losses import Loss, MeanSquaredError, SummedLoss
from neurotorch.learning.non_finite import NonFiniteError
from neurotorch.learning.penalties import (
    L1,
    L2,
    DalePenalty,
    ExcitatoryFraction,
    WeightBalance,
    WeightDistance,
    WeightPenalty,
)
from neurotorch.learning.penalty import Penalty
from neurotorch.learning.pooling import LastStep, MaximumOverTime, MeanOverTime, Pooling, SumOverTime
from neurotorch.learning.recursive_least_squares import RecursiveLeastSquares
from neurotorch.learning.three_factor import ThreeFactor, error_through
from neurotorch.learning.truncated_bptt import TruncatedBPTT
from neurotorch.learning.weaning import Weaning

__all__ = [
    "BPTT",
    "FORCE",
    "L1",
    "L2",
    "Adaptive",
    "BatchReport",
    "CrossEntropy",
    "CrossEntropyPerStep",
    "DalePenalty",
    "EProp",
    "ExcitatoryFraction",
    "Feedback",
    "FiringRatePenalty",
    "ForcingPlan",
    "GradientComparison",
    "GradientRule",
    "LastStep",
    "LearningRule",
    "Loss",
    "MaximumOverTime",
    "MeanOverTime",
    "MeanSquaredError",
    "NonFiniteError",
    "Penalty",
    "Pooling",
    "Random",
    "RatePenalty",
    "RecursiveLeastSquares",
    "SumOverTime",
    "SummedLoss",
    "Symmetric",
    "ThreeFactor",
    "TruncatedBPTT",
    "WarmUp",
    "Weaning",
    "WeightBalance",
    "WeightDistance",
    "WeightPenalty",
    "class_target",
    "compare_gradients",
    "error_through",
    "warm_start",
]

"""Honest numbers: scores on held-out time, baselines that need no network, and a verdict in words."""

from neurotorch.evaluation.baselines import (
    Autoregression,
    AutoregressionForecaster,
    Baseline,
    DirectAutoregression,
    DirectAutoregressionForecaster,
    LowRankAutoregression,
    Mean,
    MeanForecaster,
    Persistence,
    PersistenceForecaster,
    VectorAutoregression,
    VectorAutoregressionForecaster,
    fit_baselines,
    standard_baselines,
)
from neurotorch.evaluation.bootstrap import Interval, autocorrelation_time, block_length, ratio_interval
from neurotorch.evaluation.classification import (
    accuracy,
    calibration_error,
    confusion_matrix,
    f1,
    precision,
    recall,
)
from neurotorch.evaluation.cross_validation import Fold, best_setting, cross_validate, rolling_origin
from neurotorch.evaluation.forecaster import HORIZONS, Forecaster, check_causal, origins_between, past
from neurotorch.evaluation.held_out import evaluate_held_out
from neurotorch.evaluation.literature import (
    LiteratureActivity,
    LiteratureCompanions,
    literature_companions,
    prepare_literature,
    time_shuffled,
)
from neurotorch.evaluation.metrics import p_variance, p_variance_per_neuron, r_squared, r_squared_per_neuron, skill
from neurotorch.evaluation.neurobench import NeuroBench, connection_sparsity, footprint, neurobench
from neurotorch.evaluation.score import HeldOut, HorizonScore, Skill, Unscored
from neurotorch.evaluation.verdict import verdict

__all__ = [
    "HORIZONS",
    "Autoregression",
    "AutoregressionForecaster",
    "Baseline",
    "DirectAutoregression",
    "DirectAutoregressionForecaster",
    "Fold",
    "Forecaster",
    "HeldOut",
    "HorizonScore",
    "Interval",
    "LiteratureActivity",
    "LiteratureCompanions",
    "LowRankAutoregression",
    "Mean",
    "MeanForecaster",
    "NeuroBench",
    "Persistence",
    "PersistenceForecaster",
    "Skill",
    "Unscored",
    "VectorAutoregression",
    "VectorAutoregressionForecaster",
    "accuracy",
    "autocorrelation_time",
    "best_setting",
    "block_length",
    "calibration_error",
    "check_causal",
    "confusion_matrix",
    "connection_sparsity",
    "cross_validate",
    "evaluate_held_out",
    "f1",
    "fit_baselines",
    "footprint",
    "literature_companions",
    "neurobench",
    "origins_between",
    "p_variance",
    "p_variance_per_neuron",
    "past",
    "precision",
    "prepare_literature",
    "r_squared",
    "r_squared_per_neuron",
    "ratio_interval",
    "recall",
    "rolling_origin",
    "skill",
    "standard_baselines",
    "time_shuffled",
    "verdict",
]

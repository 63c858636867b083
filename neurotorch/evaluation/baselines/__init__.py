"""Forecasts that need no network: what a fit has to beat."""

from neurotorch.evaluation.baselines.autoregression import Autoregression, AutoregressionForecaster
from neurotorch.evaluation.baselines.base import Baseline
from neurotorch.evaluation.baselines.direct_autoregression import DirectAutoregression, DirectAutoregressionForecaster
from neurotorch.evaluation.baselines.low_rank import LowRankAutoregression
from neurotorch.evaluation.baselines.mean import Mean, MeanForecaster
from neurotorch.evaluation.baselines.persistence import Persistence, PersistenceForecaster
from neurotorch.evaluation.baselines.standard import fit_baselines, standard_baselines
from neurotorch.evaluation.baselines.vector_autoregression import VectorAutoregression, VectorAutoregressionForecaster

__all__ = [
    "Autoregression",
    "AutoregressionForecaster",
    "Baseline",
    "DirectAutoregression",
    "DirectAutoregressionForecaster",
    "LowRankAutoregression",
    "Mean",
    "MeanForecaster",
    "Persistence",
    "PersistenceForecaster",
    "VectorAutoregression",
    "VectorAutoregressionForecaster",
    "fit_baselines",
    "standard_baselines",
]

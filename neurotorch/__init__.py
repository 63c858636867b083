"""Biologically constrained recurrent networks, fitted to recordings of neural activity."""

from neurotorch import (
    analysis,
    connections,
    core,
    data,
    engine,
    evaluation,
    learning,
    network,
    neurons,
    plotting,
    runs,
    training,
)
from neurotorch.data import Recording, read
from neurotorch.runs import (
    Blueprint,
    LiteraturePlan,
    RunFolder,
    TrainingPlan,
    ablate,
    fit,
    fit_literature,
    load,
    save,
)

__version__ = "0.1.0"

__all__ = [
    "Blueprint",
    "LiteraturePlan",
    "Recording",
    "RunFolder",
    "TrainingPlan",
    "__version__",
    "ablate",
    "analysis",
    "connections",
    "core",
    "data",
    "engine",
    "evaluation",
    "fit",
    "fit_literature",
    "learning",
    "load",
    "network",
    "neurons",
    "plotting",
    "read",
    "runs",
    "save",
    "training",
]

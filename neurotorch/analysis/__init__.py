"""What a fitted network is made of: lesions of its connections and what they cost, excitation and inhibition."""

from neurotorch.analysis.ablation import (
    STRATEGIES,
    Ablation,
    ablation_named,
    count_connections,
    random,
    remove,
    strongest,
    weakest,
)
from neurotorch.analysis.balance import Balance, measure_balance
from neurotorch.analysis.doctor import (
    AddBias,
    Change,
    Diagnosis,
    Doctor,
    Finding,
    Rebalance,
    ScaleInputs,
    ScaleOutputs,
    examine,
)
from neurotorch.analysis.paradoxical import ParadoxicalResponse, paradoxical_response
from neurotorch.analysis.pathway import pathway
from neurotorch.analysis.spectra import spectra_of
from neurotorch.analysis.study import AblationStudy

__all__ = [
    "STRATEGIES",
    "Ablation",
    "AblationStudy",
    "AddBias",
    "Balance",
    "Change",
    "Diagnosis",
    "Doctor",
    "Finding",
    "ParadoxicalResponse",
    "Rebalance",
    "ScaleInputs",
    "ScaleOutputs",
    "ablation_named",
    "count_connections",
    "examine",
    "measure_balance",
    "paradoxical_response",
    "pathway",
    "random",
    "remove",
    "spectra_of",
    "strongest",
    "weakest",
]

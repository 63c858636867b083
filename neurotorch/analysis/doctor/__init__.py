"""The doctor: which neurons are silent, saturated, exploding or out of balance, and what to change."""

from neurotorch.analysis.doctor.callback import Doctor
from neurotorch.analysis.doctor.changes import AddBias, Change, Rebalance, ScaleInputs, ScaleOutputs
from neurotorch.analysis.doctor.diagnosis import Diagnosis, Finding
from neurotorch.analysis.doctor.examine import examine

__all__ = [
    "AddBias",
    "Change",
    "Diagnosis",
    "Doctor",
    "Finding",
    "Rebalance",
    "ScaleInputs",
    "ScaleOutputs",
    "examine",
]

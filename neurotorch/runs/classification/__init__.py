"""Classifiers: from a data set to a trained spiking network, its report and its run folder."""

from neurotorch.runs.classification.blueprint import ClassifierBlueprint
from neurotorch.runs.classification.classify import Classification, classify
from neurotorch.runs.classification.loaded import LoadedClassifier
from neurotorch.runs.classification.plan import ClassifierPlan
from neurotorch.runs.classification.presentation import ImagePresentation, Presentation, SpikePresentation
from neurotorch.runs.classification.samples import LabelledSamples
from neurotorch.runs.classification.task import ClassificationTask, open_task, preset

__all__ = [
    "Classification",
    "ClassificationTask",
    "ClassifierBlueprint",
    "ClassifierPlan",
    "ImagePresentation",
    "LabelledSamples",
    "LoadedClassifier",
    "Presentation",
    "SpikePresentation",
    "classify",
    "open_task",
    "preset",
]

"""Whole runs: from a recording to a fitted network, its report and its folder."""

from neurotorch.runs.ablate import ablate
from neurotorch.runs.blueprint import Blueprint, neuron_named, neuron_names
from neurotorch.runs.classification import (
    Classification,
    ClassificationTask,
    ClassifierBlueprint,
    ClassifierPlan,
    ImagePresentation,
    LoadedClassifier,
    SpikePresentation,
    classify,
    open_task,
    preset,
)
from neurotorch.runs.demo import Demo, demo_blueprint, demo_plan, demo_recording, recovery
from neurotorch.runs.fit import Fit, fit
from neurotorch.runs.folder import LoadedRun, RunFolder, load, save
from neurotorch.runs.literature import LiteratureFit, LiteraturePlan, fit_literature
from neurotorch.runs.report import table
from neurotorch.runs.training_plan import TrainingPlan, rule_named
from neurotorch.runs.warm_start import WarmStart

__all__ = [
    "Blueprint",
    "Classification",
    "ClassificationTask",
    "ClassifierBlueprint",
    "ClassifierPlan",
    "Demo",
    "Fit",
    "ImagePresentation",
    "LiteratureFit",
    "LiteraturePlan",
    "LoadedClassifier",
    "LoadedRun",
    "RunFolder",
    "SpikePresentation",
    "TrainingPlan",
    "WarmStart",
    "ablate",
    "classify",
    "demo_blueprint",
    "demo_plan",
    "demo_recording",
    "fit",
    "fit_literature",
    "load",
    "neuron_named",
    "neuron_names",
    "open_task",
    "preset",
    "recovery",
    "rule_named",
    "save",
    "table",
]

"""What users may hand to analyses and figures by mistake."""

import torch

from neurotorch import Blueprint, fit
from neurotorch.analysis import AblationStudy, Doctor, examine, measure_balance, pathway, random, remove, spectra_of
from neurotorch.connections import Connection, Dale, Regions
from neurotorch.learning import DalePenalty, FiringRatePenalty, WeightDistance
from neurotorch.network import Layer, Network
from neurotorch.neurons import FiringRate
from neurotorch.plotting import plot_regions
from tests.refusals import refused

REGIONS = Regions.of_labels(["tectum", "tectum", "hindbrain", None])


def network():
    return Network({"brain": Layer(FiringRate(0.2), 4, recurrent=Connection(4, 4, dale=Dale.fraction(4)))}, dt=0.1)


def balance(emitted, layer="brain"):
    return measure_balance(network(), emitted, layer=layer)


TYPES = {
    "a tensor for activity by layer": (lambda: balance(torch.zeros(5, 2, 4)), "`emitted` is tensor.*a Mapping object"),
    "a text to examine": (lambda: examine(network(), "x"), "`batch` is 'x', but it must be a Batch"),
    "a text for a patient": (lambda: examine("x", None), "`network` is 'x'"),
    "a text for a doctor": (lambda: Doctor("x"), "`batch` is 'x'"),
    "a text for spectra": (lambda: spectra_of("x"), "`network` is 'x'"),
    "a text for regions": (lambda: pathway("x", "a -> b", address="brain.recurrent"), "`regions` is 'x'"),
    "a name for an order": (
        lambda: pathway(REGIONS, "tectum -> hindbrain", address="brain.recurrent", order="weakest"),
        "`order` is 'weakest'",
    ),
    "a mask for a lesion": (lambda: remove(network().effective_weights(), REGIONS.block("* -> *")), "`lesion` is"),
    "a network for weights": (lambda: remove(network(), {}), "`weights` is Network"),
    "one ablation": (lambda: AblationStudy(network(), float).run(random, [0.5]), "`ablations` is"),
    "one fraction": (lambda: AblationStudy(network(), float).run([random], 0.5), "`fractions` is 0.5"),
    "a name for a metric": (lambda: AblationStudy(network(), "r2"), "`metric` is 'r2'"),
    "a text for groups": (lambda: plot_regions(torch.ones(4, 4), "x"), "`groups` is 'x'"),
    "a path to fit": (lambda: fit("recording.npy"), "`recording` is 'recording.npy'"),
    "signs for types": (lambda: Blueprint(dale=[1, -1]), r"`dale` is \[1, -1\]"),
    "floats for a mask": (lambda: Blueprint(mask=torch.ones(3, 3)), "`mask` is .*must hold bools"),
    "types for all addresses": (lambda: DalePenalty(Dale.fraction(4)), "`types` is Dale"),
    "weights for all addresses": (lambda: WeightDistance(torch.ones(4, 4)), "`reference` is tensor"),
    "a text for a rate": (lambda: FiringRatePenalty("x"), "`target` is 'x'"),
}

VALUES = {
    "no activity of the layer": (lambda: balance({}), "`emitted` lacks the layer 'brain'"),
    "activity without samples": (lambda: balance({"brain": torch.zeros(5, 4)}), r"is \(5, 4\), but it must be"),
    "activity of other neurons": (lambda: balance({"brain": torch.zeros(5, 1, 3)}), r"is \(5, 1, 3\), but it must be"),
    "activity that is not finite": (lambda: balance({"brain": torch.full((5, 1, 4), torch.nan)}), "20 NaN"),
    "types that nothing would decide": (lambda: Blueprint(dale=Dale.inferred(4)), "4 types to be inferred"),
}


test_what_is_of_the_wrong_kind_is_named = refused(TypeError, TYPES)
test_what_cannot_be_is_named = refused(ValueError, VALUES)


def test_regions_are_drawn_of_weights_in_training():
    axes = plot_regions(network().effective_weights()["brain.recurrent"], REGIONS)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["tectum", "hindbrain", "in no region"]

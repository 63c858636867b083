"""Linear connections between neurons: Dale's law, masks, and weights to start from."""

from neurotorch.connections.connection import Connection
from neurotorch.connections.connectome import Connectome
from neurotorch.connections.dale import Dale
from neurotorch.connections.delay import conduction_delays
from neurotorch.connections.distance import distance_dependent
from neurotorch.connections.distribution import Distribution, Gamma, HalfNormal, LogNormal
from neurotorch.connections.electrical import ElectricalConnection
from neurotorch.connections.hardening import harden_types, undecided_types
from neurotorch.connections.inferred_types import Inference, InferredTypes, UndecidedTypesWarning
from neurotorch.connections.initialization import Balanced, Given, Initialization, Normal, rebalanced
from neurotorch.connections.magnitude import Absolute, Exponential, Magnitude, Projected, Softplus, Square
from neurotorch.connections.regions import Regions
from neurotorch.connections.rewiring import rewire_
from neurotorch.connections.shuffle import shuffle_degrees, shuffle_degrees_symmetric
from neurotorch.connections.spectrum import SpectrumReport, singular_value_entropy, spectral_radius, spectrum_report
from neurotorch.connections.topology import NoInputWarning, no_self, sparse, without_input
from neurotorch.connections.transmitters import FLY_TRANSMITTERS, TRANSMITTERS

__all__ = [
    "FLY_TRANSMITTERS",
    "TRANSMITTERS",
    "Absolute",
    "Balanced",
    "Connection",
    "Connectome",
    "Dale",
    "Distribution",
    "ElectricalConnection",
    "Exponential",
    "Gamma",
    "Given",
    "HalfNormal",
    "Inference",
    "InferredTypes",
    "Initialization",
    "LogNormal",
    "Magnitude",
    "NoInputWarning",
    "Normal",
    "Projected",
    "Regions",
    "Softplus",
    "SpectrumReport",
    "Square",
    "UndecidedTypesWarning",
    "conduction_delays",
    "distance_dependent",
    "harden_types",
    "no_self",
    "rebalanced",
    "rewire_",
    "shuffle_degrees",
    "shuffle_degrees_symmetric",
    "singular_value_entropy",
    "sparse",
    "spectral_radius",
    "spectrum_report",
    "undecided_types",
    "without_input",
]

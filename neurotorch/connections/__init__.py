"""Linear connections between neurons: Dale's law, masks, and weights to start from."""

from neurotorch.connections.connection import Connection
from neurotorch.connections.connectome import Connectome
from neurotorch.connections.dale import FLY_TRANSMITTERS, TRANSMITTERS, Dale
from neurotorch.connections.delay import conduction_delays
from neurotorch.connections.distance import distance_dependent
from neurotorch.connections.distribution import Distribution, Gamma, HalfNormal, LogNormal
from neurotorch.connections.initialization import Balanced, Given, Initialization, Normal, rebalanced
from neurotorch.connections.distribution import Distribution, Gamma, LogNormal
from neurotorch.connections.electrical import ElectricalConnection
from neurotorch.connections.initialization import Balanced, Given, Initialization, Normal
from neurotorch.connections.magnitude import Absolute, Exponential, Magnitude, Projected, Softplus, Square
from neurotorch.connections.regions import Regions
from neurotorch.connections.rewiring import rewire_
from neurotorch.connections.shuffle import shuffle_degrees, shuffle_degrees_symmetric
from neurotorch.connections.spectrum import SpectrumReport, singular_value_entropy, spectral_radius, spectrum_report
from neurotorch.connections.topology import NoInputWarning, no_self, sparse, without_input

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
    "conduction_delays",
    "distance_dependent",
    "no_self",
    "rebalanced",
    "rewire_",
    "shuffle_degrees",
    "shuffle_degrees_symmetric",
    "singular_value_entropy",
    "sparse",
    "spectral_radius",
    "spectrum_report",
    "without_input",
]

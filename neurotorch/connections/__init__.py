"""Linear connections between neurons: Dale's law, masks, and weights to start from."""

from neurotorch.connections.connection import Connection
from neurotorch.connections.dale import FLY_TRANSMITTERS, TRANSMITTERS, Dale
from neurotorch.connections.distribution import Distribution, Gamma, LogNormal
from neurotorch.connections.initialization import Balanced, Given, Initialization, Normal
from neurotorch.connections.magnitude import Absolute, Exponential, Magnitude, Projected, Softplus, Square
from neurotorch.connections.spectrum import SpectrumReport, spectral_radius, spectrum_report
from neurotorch.connections.topology import no_self, sparse

__all__ = [
    "FLY_TRANSMITTERS",
    "TRANSMITTERS",
    "Absolute",
    "Balanced",
    "Connection",
    "Dale",
    "Distribution",
    "Exponential",
    "Gamma",
    "Given",
    "Initialization",
    "LogNormal",
    "Magnitude",
    "Normal",
    "Projected",
    "Softplus",
    "SpectrumReport",
    "Square",
    "no_self",
    "sparse",
    "spectral_radius",
    "spectrum_report",
]

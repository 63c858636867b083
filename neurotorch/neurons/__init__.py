"""Neuron models: pure, pointwise steps, one file each."""

from neurotorch.neurons.adaptive_current_lif import AdaptiveCurrentLIF
from neurotorch.neurons.adaptive_lif import AdaptiveLIF
from neurotorch.neurons.adex import AdEx
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.calcium import Calcium
from neurotorch.neurons.constant import Constant, Learned, learned, log_normal
from neurotorch.neurons.current_integrator import CurrentIntegrator
from neurotorch.neurons.current_lif import CurrentLIF
from neurotorch.neurons.current_rate import CurrentRate
from neurotorch.neurons.double_exponential_calcium import DoubleExponentialCalcium
from neurotorch.neurons.double_exponential_lif import DoubleExponentialLIF
from neurotorch.neurons.elman import Elman
from neurotorch.neurons.firing_rate import FiringRate
from neurotorch.neurons.izhikevich import IZHIKEVICH_TYPES, Izhikevich
from neurotorch.neurons.leaky_integrator import LeakyIntegrator
from neurotorch.neurons.lif import LIF
from neurotorch.neurons.mixed import Mixed
from neurotorch.neurons.mixed_rate import MixedRate
from neurotorch.neurons.mixed_spiking import MixedSpiking
from neurotorch.neurons.multi_timescale_rate import MultiTimescaleRate
from neurotorch.neurons.qif import QIF
from neurotorch.neurons.refractory import NotRefractory, Refractory
from neurotorch.neurons.reset import ResetBySubtraction, ResetToValue, ResetToZero
from neurotorch.neurons.saturating_calcium import SaturatingCalcium
from neurotorch.neurons.surrogate import (
    Arctangent,
    Boxcar,
    FastSigmoid,
    Gaussian,
    SigmoidSurrogate,
    SuperSpike,
    Triangular,
)
from neurotorch.neurons.transfer import Hill, Linear, PowerLaw, Relu, Sigmoid, Softplus, Tanh
from neurotorch.neurons.wilson_cowan import WilsonCowan

__all__ = [
    "IZHIKEVICH_TYPES",
    "LIF",
    "QIF",
    "AdEx",
    "AdaptiveCurrentLIF",
    "AdaptiveLIF",
    "Arctangent",
    "Boxcar",
    "Calcium",
    "Constant",
    "CurrentIntegrator",
    "CurrentLIF",
    "CurrentRate",
    "DoubleExponentialCalcium",
    "DoubleExponentialLIF",
    "Elman",
    "FastSigmoid",
    "FiringRate",
    "Gaussian",
    "Hill",
    "Izhikevich",
    "LeakyIntegrator",
    "Learned",
    "Linear",
    "Mixed",
    "MixedRate",
    "MixedSpiking",
    "MultiTimescaleRate",
    "NeuronModel",
    "NotRefractory",
    "PowerLaw",
    "Refractory",
    "Relu",
    "ResetBySubtraction",
    "ResetToValue",
    "ResetToZero",
    "SaturatingCalcium",
    "Sigmoid",
    "SigmoidSurrogate",
    "Softplus",
    "SuperSpike",
    "Tanh",
    "Triangular",
    "WilsonCowan",
    "learned",
    "log_normal",
]

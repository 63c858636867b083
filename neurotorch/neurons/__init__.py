"""Neuron models: pure, pointwise steps, one file each."""

from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.calcium import Calcium
from neurotorch.neurons.constant import Constant, Learned, learned
from neurotorch.neurons.current_lif import CurrentLIF
from neurotorch.neurons.firing_rate import FiringRate
from neurotorch.neurons.leaky_integrator import LeakyIntegrator
from neurotorch.neurons.lif import LIF
from neurotorch.neurons.multi_timescale_rate import MultiTimescaleRate
from neurotorch.neurons.reset import ResetBySubtraction, ResetToZero
from neurotorch.neurons.surrogate import FastSigmoid, Triangular
from neurotorch.neurons.transfer import Linear, Relu, Sigmoid, Softplus, Tanh
from neurotorch.neurons.wilson_cowan import WilsonCowan

__all__ = [
    "LIF",
    "Calcium",
    "Constant",
    "CurrentLIF",
    "FastSigmoid",
    "FiringRate",
    "LeakyIntegrator",
    "Learned",
    "Linear",
    "MultiTimescaleRate",
    "NeuronModel",
    "Relu",
    "ResetBySubtraction",
    "ResetToZero",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "Triangular",
    "WilsonCowan",
    "learned",
]

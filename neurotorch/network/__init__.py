"""Layers, networks, what an instrument sees of them, and how they run."""

from neurotorch.network.forcing import Forcing
from neurotorch.network.free_membrane import start_at_threshold_
from neurotorch.network.initial import random_state, warm_up
from neurotorch.network.layer import Layer, LayerState
from neurotorch.network.learned_start import LearnedStart
from neurotorch.network.network import Network, NetworkRun, NetworkState
from neurotorch.network.noise import Noise, OrnsteinUhlenbeck, WhiteNoise, noise_currents
from neurotorch.network.observation import Observation
from neurotorch.network.simulate import Trajectory, forecast, simulate

__all__ = [
    "Forcing",
    "Layer",
    "LayerState",
    "LearnedStart",
    "Network",
    "NetworkRun",
    "NetworkState",
    "Noise",
    "Observation",
    "OrnsteinUhlenbeck",
    "Trajectory",
    "WhiteNoise",
    "forecast",
    "noise_currents",
    "random_state",
    "simulate",
    "start_at_threshold_",
    "warm_up",
]

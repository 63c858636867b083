"""Layers, networks, what an instrument sees of them, and how they run."""

from neurotorch.network.forcing import Forcing
from neurotorch.network.layer import Layer, LayerState
from neurotorch.network.network import Network, NetworkRun, NetworkState
from neurotorch.network.observation import Observation
from neurotorch.network.simulate import Trajectory, forecast, simulate

__all__ = [
    "Forcing",
    "Layer",
    "LayerState",
    "Network",
    "NetworkRun",
    "NetworkState",
    "Observation",
    "Trajectory",
    "forecast",
    "simulate",
]

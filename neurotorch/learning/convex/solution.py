"""What a one-step fit found, and how it is written to a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from neurotorch.connections.electrical import ElectricalConnection
from neurotorch.network.layer import Layer
from neurotorch.network.network import Network
from neurotorch.neurons.multi_timescale_rate import MultiTimescaleRate

Array = NDArray[np.float64]


SMALLEST = 1e-3
"""Share of a typical weight that stands for a zero under a magnitude map that has none."""


@dataclass(frozen=True)
class OneStepSolution:
    """The parameters of one population of multi-timescale units.

    Attributes
    ----------
    own
        Weights of the filters, ``(filter, neuron)``.
    bias
        ``(neuron,)``.
    inputs
        Weights of the inputs, ``(neuron, channel)``.
    weight
        Recurrent weights ``(post, pre)``; zeros for a fit without connections.
    conductance
        Of gap junctions, ``(neuron, neuron)``, symmetric; None for a fit without them.
    """

    own: Array
    bias: Array
    inputs: Array
    weight: Array
    conductance: Array | None = None

    def write(self, network: Network, *, least: float = 0.0) -> None:
        """Set the parameters of the last layer of `network`; one without a recurrent connection takes the rest.

        Parameters
        ----------
        network
            With as many neurons, filters and input channels, and own weights and a bias per neuron.
        least
            Magnitude, as a share of the mean of those that are not zero, that a weight has at least where a connection
            may exist. Under the square map a weight of zero has no gradient, and would stay if training goes on.
        """
        layer = list(network.named_layers().values())[-1]
        neuron, bias = layer.neuron, layer.bias
        if not isinstance(neuron, MultiTimescaleRate) or bias is None:
            raise TypeError(
                f"The solution is one of multi-timescale units with a bias, but the network has {type(neuron).__name__}"
                f"{'' if bias is not None else ' without a bias'}."
            )
        shape = tuple(neuron.own.value.shape)
        if shape != self.own.shape or bias.value.shape != self.bias.shape:
            raise ValueError(
                f"The solution is of {self.own.shape} own weights (filter, neuron), but the network has {shape} and a "
                f"bias {tuple(bias.value.shape)}: build it with as many filters and neurons."
            )
        neuron.own.assign(self._like(layer, self.own))
        bias.assign(self._like(layer, self.bias))
        if layer.inputs is not None:
            layer.inputs.set_weight(self._like(layer, self.inputs))
        if layer.recurrent is not None:
            layer.recurrent.set_weight(self._like(layer, self._raised(layer, least)))
        if layer.electrical is not None:
            layer.electrical.set_weight(self._like(layer, self._conductance(layer.electrical, least)))

    def _raised(self, layer: Layer, least: float) -> Array:
        connection = layer.recurrent
        if connection is None or connection.dale is None:
            return self.weight
        if float(connection.dale.magnitude.forward(torch.zeros(1))) > 0:  # a map without a zero, such as the softplus
            least = max(least, SMALLEST)
        if least == 0:
            return self.weight
        signs = connection.dale.signs.double().cpu().numpy()
        exists = np.ones(self.weight.shape, dtype=bool) if connection.mask is None else connection.mask.cpu().numpy()
        floor = least * np.abs(self.weight[self.weight != 0]).mean() if self.weight.any() else 1e-6
        return np.where(exists & (np.abs(self.weight) < floor) & (signs != 0), floor * signs, self.weight)

    def _conductance(self, junctions: ElectricalConnection, least: float) -> Array:
        found = np.zeros(junctions.raw.shape) if self.conductance is None else self.conductance
        if float(junctions.magnitude.forward(torch.zeros(1))) > 0:
            least = max(least, SMALLEST)
        if least == 0:
            return found
        exists = ~np.eye(len(found), dtype=bool)
        if junctions.mask is not None:
            exists &= junctions.mask.cpu().numpy()
        floor = least * found[found != 0].mean() if found.any() else 1e-6
        return np.where(exists, np.maximum(found, floor), 0.0)

    @staticmethod
    def _like(layer: Layer, values: Array) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(layer.like())

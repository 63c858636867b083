"""What the doctor proposes: changes of a network, each with its numbers, that can be read and can be made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from neurotorch.connections.initialization import rebalanced
from neurotorch.network.network import Network
from neurotorch.neurons.constant import Constant


class Change(ABC):
    """A change of a network: its text says what to do, `apply_` does it."""

    @abstractmethod
    def apply_(self, network: Network) -> None:
        """Change `network` in place."""

    @abstractmethod
    def __str__(self) -> str:
        """Return what to do, as an order."""


@dataclass(frozen=True)
class ScaleInputs(Change):
    """Scale the weights of a connection into some of its postsynaptic neurons."""

    address: str
    neurons: tuple[int, ...]
    factor: float

    @torch.no_grad()
    def apply_(self, network: Network) -> None:
        """Scale the rows."""
        connection = network.connections()[self.address]
        weight = connection.weight()
        weight[list(self.neurons)] *= self.factor
        connection.set_weight(weight)

    def __str__(self) -> str:
        """Return what to do."""
        return f"scale their weights in {self.address} by {self.factor:g}"


@dataclass(frozen=True)
class ScaleOutputs(Change):
    """Scale the weights of a connection from some of its presynaptic neurons; `which` calls them by a name."""

    address: str
    neurons: tuple[int, ...]
    factor: float
    which: str

    @torch.no_grad()
    def apply_(self, network: Network) -> None:
        """Scale the columns."""
        connection = network.connections()[self.address]
        weight = connection.weight()
        weight[:, list(self.neurons)] *= self.factor
        connection.set_weight(weight)

    def __str__(self) -> str:
        """Return what to do."""
        return f"scale the weights of {self.address} from {self.which} by {self.factor:g}"


@dataclass(frozen=True)
class AddBias(Change):
    """Add a constant current to each of some neurons of a layer, whose bias is then one per neuron."""

    layer: str
    neurons: tuple[int, ...]
    currents: tuple[float, ...]

    @torch.no_grad()
    def apply_(self, network: Network) -> None:
        """Add to the bias, which stays learned if it was."""
        layer = network.named_layers()[self.layer]
        bias = layer.like().new_zeros(layer.neurons)
        if layer.bias is not None:
            bias = bias + layer.bias.value
        bias[list(self.neurons)] += bias.new_tensor(self.currents)
        if layer.bias is not None and layer.bias.value.shape == bias.shape:
            layer.bias.assign(bias)
        else:
            layer.bias = Constant(bias, learned=layer.bias is not None and layer.bias.learned)

    def __str__(self) -> str:
        """Return what to do."""
        least, most = min(self.currents), max(self.currents)
        if least == most:
            return f"add {most:g} to their bias (`bias=` of the layer)"
        return f"add to the bias of each between {least:.2g} and {most:.2g} (`bias=` of the layer; `change.currents`)"


@dataclass(frozen=True)
class Rebalance(Change):
    """Scale the inhibition of every row of a recurrent connection so that the row sums to zero, and set its size."""

    address: str
    spectral_radius: float

    @torch.no_grad()
    def apply_(self, network: Network) -> None:
        """Balance the rows."""
        connection = network.connections()[self.address]
        weight: Tensor = rebalanced(connection.weight(), spectral_radius=self.spectral_radius)
        connection.set_weight(weight)

    def __str__(self) -> str:
        """Return what to do."""
        return (
            f"start {self.address} from Balanced({self.spectral_radius:g}), or keep its weights and balance each row: "
            f"rebalanced(weight, spectral_radius={self.spectral_radius:g})"
        )

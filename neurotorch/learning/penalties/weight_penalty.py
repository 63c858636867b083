"""What penalties on effective weights share: which connections count, their strength and their name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from neurotorch.connections.connection import Connection
from neurotorch.core.checks import check_kind, check_positive, nearest
from neurotorch.network.network import Network, NetworkRun


class WeightPenalty(ABC):
    """A penalty that is a sum over connections of a function of their effective weights.

    It adds ``strength * sum over addresses of of_weight(...)``, whatever the network did: `BPTT`, `TruncatedBPTT` and
    offline `EProp` with symmetric feedback take it.

    Parameters
    ----------
    strength
        Factor of the penalty.
    addresses
        Of the connections that count, such as ``"cortex.recurrent"``; all by default.
    name
        Under which the term is reported, where the penalty's own is taken: two penalties need two names.
    """

    def __init__(self, strength: float, addresses: Sequence[str] | None, name: str) -> None:
        if isinstance(addresses, str):
            raise TypeError(f"`addresses` is the text {addresses!r}, but it must be a list: [{addresses!r}].")
        if addresses is not None:
            check_kind("addresses", addresses, Iterable, example="['cortex.recurrent']")
        self.strength = check_positive("strength", strength)
        self.addresses = None if addresses is None else list(addresses)
        self.name = name

    def __call__(self, network: Network, run: NetworkRun) -> Tensor:
        """Return the penalty, a scalar; `run` is not used."""
        del run
        terms = [self.of_weight(address, each) for address, each in self.penalised(network).items()]
        return self.strength * torch.stack(terms).sum()

    @abstractmethod
    def of_weight(self, address: str, connection: Connection) -> Tensor:
        """Return the term of one connection, a scalar without the strength, differentiable in its weights."""

    def penalised(self, network: Network) -> dict[str, Connection]:
        """Return the connections that count, by address.

        Raises
        ------
        ValueError
            If the network has no connection of an address: those that it has are listed, and the nearest.
        """
        there = network.connections()
        if self.addresses is None:
            if not there:
                raise ValueError(f"The network has no connections, so the penalty {self.name!r} has nothing to act on.")
            return there
        for address in self.addresses:
            if address not in there:
                raise ValueError(
                    f"The penalty {self.name!r} is on {address!r}, but the network has the connections {list(there)}."
                    f"{nearest(address, there)}"
                )
        return {address: there[address] for address in self.addresses}

"""Penalties: what a rule makes small beside the loss on the data."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from neurotorch.network.network import Network, NetworkRun


class Penalty(Protocol):
    """A term that is added to the loss, and reported under its name.

    Attributes
    ----------
    name
        Of the term in reports and histories.
    """

    @property
    def name(self) -> str:
        """Name of the term."""
        ...

    def __call__(self, network: Network, run: NetworkRun) -> Tensor:
        """Return a scalar, its strength included: of what the network is, or of what it did on a batch."""
        ...

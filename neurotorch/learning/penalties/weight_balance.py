"""A penalty on what excitation and inhibition of a neuron leave over."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from neurotorch.connections.connection import Connection
from neurotorch.learning.penalties.weight_penalty import WeightPenalty


class WeightBalance(WeightPenalty):
    """Keep the excitatory and inhibitory weights of each postsynaptic neuron in balance.

    It adds ``strength * 1/2 sum_i (sum_j w_ij)^2``: the rows of each connection sum to zero where it wins. Where all
    presynaptic neurons have one sign it can only make weights small.

    Parameters
    ----------
    strength
        Factor of the penalty.
    addresses
        Of the connections that count, each by itself; all by default, which seldom suits those from outside.
    name
        Under which the term is reported.

    References
    ----------
    Rajan & Abbott (2006), doi:10.1103/PhysRevLett.97.188104: rows that sum to zero have no outlier.
    """

    def __init__(
        self, strength: float, addresses: Sequence[str] | None = None, *, name: str = "weight_balance"
    ) -> None:
        super().__init__(strength, addresses, name)

    def of_weight(self, address: str, connection: Connection) -> Tensor:
        """Return ``1/2 sum_i (sum_j w_ij)^2``."""
        del address
        return 0.5 * connection.weight().sum(dim=1).square().sum()

"""The elementwise L2 norm of weights."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from neurotorch.connections.connection import Connection
from neurotorch.learning.penalties.weight_penalty import WeightPenalty


class L2(WeightPenalty):
    """Make weights small.

    It adds ``strength * 1/2 sum_ij w_ij^2`` over effective weights; an optimizer's weight decay acts on the raw
    parameter instead, which under Dale's law is another quantity.

    Parameters
    ----------
    strength
        Factor of the penalty.
    addresses
        Of the connections that count; all by default.
    name
        Under which the term is reported.

    References
    ----------
    Hoerl & Kennard (1970), Technometrics 12, 55-67, doi:10.1080/00401706.1970.10488634.
    """

    def __init__(self, strength: float, addresses: Sequence[str] | None = None, *, name: str = "l2") -> None:
        super().__init__(strength, addresses, name)

    def of_weight(self, address: str, connection: Connection) -> Tensor:
        """Return ``1/2 sum_ij w_ij^2``."""
        del address
        return 0.5 * connection.weight().square().sum()

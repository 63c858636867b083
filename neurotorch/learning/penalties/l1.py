"""The elementwise L1 norm of weights."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from neurotorch.connections.connection import Connection
from neurotorch.learning.penalties.weight_penalty import WeightPenalty


class L1(WeightPenalty):
    """Make weights small and, where the data do not ask for them, near zero.

    It adds ``strength * sum_ij |w_ij|`` over effective weights. Gradient steps cross zero instead of stopping there, so
    that weights end within a step of zero and not at it: for exact zeros use ``Dale(..., magnitude=Projected())``,
    whose projection stops them. On a connection under ``Square()`` it is a ridge on the raw parameter.

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
    Tibshirani (1996), J. R. Stat. Soc. B 58, 267-288, doi:10.1111/j.2517-6161.1996.tb02080.x.
    """

    def __init__(self, strength: float, addresses: Sequence[str] | None = None, *, name: str = "l1") -> None:
        super().__init__(strength, addresses, name)

    def of_weight(self, address: str, connection: Connection) -> Tensor:
        """Return ``sum_ij |w_ij|``."""
        del address
        return connection.weight().abs().sum()

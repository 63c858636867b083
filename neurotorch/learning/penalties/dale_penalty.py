"""Dale's law as a wish: a penalty on weights of the wrong sign of a connection that is free."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from neurotorch.connections.connection import Connection
from neurotorch.connections.dale import Dale
from neurotorch.core.checks import check_kind
from neurotorch.learning.penalties.weight_penalty import WeightPenalty


class DalePenalty(WeightPenalty):
    """Push the weights of each presynaptic neuron towards its sign, and let the data object.

    With the sign ``s_j`` of neuron `j` it adds ::

        strength * 1/2 sum_ij max(0, -s_j w_ij)^2

    which is zero where the law holds, and everywhere for neurons of sign 0. A weight that the data push to the wrong
    side stays there, the closer to zero the stronger the penalty; ``dale.violations(connection.weight())`` counts
    them. For signs that hold always, give the connection the `Dale` object itself.

    Parameters
    ----------
    types
        Address to the types of the presynaptic neurons there.
    strength
        Factor of the penalty.
    name
        Under which the term is reported.

    Raises
    ------
    TypeError
        If a type is no `Dale` object.
    ValueError
        If there are none, or (when called) one types another number of neurons than the connection has.

    References
    ----------
    Eccles, Fatt & Koketsu (1954), J. Physiol. 126, 524-562, doi:10.1113/jphysiol.1954.sp005226.
    """

    def __init__(self, types: Mapping[str, Dale], strength: float = 1.0, *, name: str = "dale") -> None:
        check_kind("types", types, Mapping, example="{'cortex.recurrent': Dale.fraction(9)}")
        super().__init__(strength, list(types), name)
        if not types:
            raise ValueError('`types` is empty: give types by address, such as {"cortex.recurrent": Dale.fraction(9)}.')
        for address, dale in types.items():
            check_kind(f"types[{address!r}]", dale, Dale, example="Dale.fraction(9)")
        self.types = dict(types)

    def of_weight(self, address: str, connection: Connection) -> Tensor:
        """Return ``1/2 sum_ij max(0, -s_j w_ij)^2``."""
        weight, signs = connection.weight(), self.types[address].signs
        if len(signs) != connection.pre:
            raise ValueError(
                f"`types[{address!r}]` types {len(signs)} presynaptic neurons, but the connection has {connection.pre}."
            )
        return 0.5 * (-signs.to(weight) * weight).clamp(min=0).square().sum()

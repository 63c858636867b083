"""A penalty on the distance of weights from weights that are known: a connectome as a prior."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from neurotorch.connections.connection import Connection
from neurotorch.core.checks import as_tensor, check_finite, check_kind
from neurotorch.learning.penalties.weight_penalty import WeightPenalty


class WeightDistance(WeightPenalty):
    """Keep weights near a reference.

    It adds ``strength * 1/2 sum_ij (w_ij - reference_ij)^2`` over the addresses that have a reference, and there over
    the entries that the mask leaves: a Gaussian prior around it, of variance ``1 / strength`` where the loss is a
    negative log-likelihood.

    Parameters
    ----------
    reference
        Address to weights ``(post, pre)``; copied.
    strength
        Factor of the penalty.
    name
        Under which the term is reported.

    Raises
    ------
    ValueError
        If there is no reference, one is not finite, or (when called) one has another shape than the weights.
    """

    def __init__(
        self, reference: Mapping[str, Tensor], strength: float = 1.0, *, name: str = "weight_distance"
    ) -> None:
        check_kind("reference", reference, Mapping, example="{'cortex.recurrent': weight}")
        super().__init__(strength, list(reference), name)
        if not reference:
            raise ValueError('`reference` is empty: give weights by address, such as {"cortex.recurrent": weight}.')
        self.reference = {address: as_tensor(f"reference[{address!r}]", w).clone() for address, w in reference.items()}
        for address, each in self.reference.items():
            check_finite(f"reference[{address!r}]", each)

    def of_weight(self, address: str, connection: Connection) -> Tensor:
        """Return ``1/2 sum_ij (w_ij - reference_ij)^2`` over existing connections."""
        weight, reference = connection.weight(), self.reference[address]
        if weight.shape != reference.shape:
            raise ValueError(
                f"`reference[{address!r}]` is {tuple(reference.shape)}, but the weights (post, pre) are "
                f"{tuple(weight.shape)}: rows are postsynaptic neurons."
            )
        distance = weight - reference.to(weight)
        return 0.5 * (distance if connection.mask is None else distance[connection.mask]).square().sum()

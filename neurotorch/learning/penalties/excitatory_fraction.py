"""A penalty on the fraction of connections that excite, counted softly."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from neurotorch.connections.connection import Connection
from neurotorch.core.checks import check_fraction, check_positive
from neurotorch.learning.penalties.weight_penalty import WeightPenalty
from neurotorch.network.network import Network


class ExcitatoryFraction(WeightPenalty):
    """Hold the ratio of excitatory to inhibitory connections, of weights whose signs are free.

    With ``h`` the root mean square of the existing weights times `width`, a constant for the gradient, it adds ::

        strength * 1/2 (f - target)^2,    f = mean over existing ij of 1 / (1 + exp(-w_ij / h))

    for each connection: a count of the weights above zero in which those near zero count in part, and are moved most.
    Weights many ``h`` from zero have no gradient to speak of, and a sharp count moves few of them. `counted` is the
    hard count, the one to report; the soft one follows it, drawn a little towards a half.

    Parameters
    ----------
    target
        Fraction in 0..1 of existing connections that shall excite: 0.8 for an E/I ratio of 4.
    strength
        Factor of the penalty.
    addresses
        Of the connections that count; all by default.
    width
        How far from zero a weight counts in part, in root mean squares of the weights; a quarter.
    name
        Under which the term is reported.

    Raises
    ------
    ValueError
        If `target` lies outside 0..1, or (when called) a connection is under Dale's law with all types fixed, so that
        nothing could move.
    """

    def __init__(
        self,
        target: float,
        strength: float = 1.0,
        *,
        addresses: Sequence[str] | None = None,
        width: float = 0.25,
        name: str = "excitatory_fraction",
    ) -> None:
        super().__init__(strength, addresses, name)
        self.target = check_fraction("target", target)
        self.width = check_positive("width", width)

    def of_weight(self, address: str, connection: Connection) -> Tensor:
        """Return ``1/2 (f - target)^2``."""
        if connection.dale is not None and bool((connection.dale.signs != 0).all()):
            raise ValueError(
                f"The penalty {self.name!r} is on {address!r}, whose signs Dale's law fixes, so nothing can move: "
                "leave it out of `addresses`, or leave neurons free with the sign 0."
            )
        weight = _existing(connection)
        if not len(weight):
            raise ValueError(f"The penalty {self.name!r} is on {address!r}, whose mask leaves no connection.")
        height = self.width * weight.detach().square().mean().sqrt()
        # All weights zero: half of them count, and there is no scale to move them on.
        soft = torch.sigmoid(weight / height.clamp(min=torch.finfo(weight.dtype).tiny))
        return 0.5 * (soft.mean() - self.target) ** 2

    def counted(self, network: Network, validation: object = None) -> float:
        """Return the hard count: weights above zero among those that are not zero, of all penalised connections.

        It is a metric as the trainer takes them: ``metrics={"excitatory": penalty.counted}``. NaN where every weight is
        zero.
        """
        del validation
        weights = torch.cat([_existing(each).detach() for each in self.penalised(network).values()])
        excitatory, inhibitory = int((weights > 0).sum()), int((weights < 0).sum())
        return excitatory / (excitatory + inhibitory) if excitatory + inhibitory else float("nan")


def _existing(connection: Connection) -> Tensor:
    weight = connection.weight()
    return weight.flatten() if connection.mask is None else weight[connection.mask]

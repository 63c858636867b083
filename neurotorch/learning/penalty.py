"""Penalties: what a rule makes small beside the loss on the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from neurotorch.network.network import Network, NetworkRun


class Penalty(Protocol):
    """A term that is added to the loss, and reported under its name.

    Attributes
    ----------
    name
        Of the term in reports and histories; neither ``"data"`` nor ``"loss"``.
    """

    @property
    def name(self) -> str:
        """Name of the term."""
        ...

    def __call__(self, network: Network, run: NetworkRun) -> Tensor:
        """Return a scalar, its strength included: of what the network is, or of what it did on a batch.

        `run` holds what was emitted and seen; states and currents are not recorded. A penalty of what the network did
        is a mean over time, so that a rule may also take it in parts.
        """
        ...


def check_penalties(penalties: Sequence[Penalty]) -> tuple[Penalty, ...]:
    """Return `penalties`, or raise if their names could not be told apart in a report."""
    names = [penalty.name for penalty in penalties]
    for name in names:
        if name in ("data", "loss"):
            raise ValueError(f"A penalty is named {name!r}, the name of another part of the loss: rename it.")
        if names.count(name) > 1:
            raise ValueError(f"{names.count(name)} penalties are named {name!r}: give each a name of its own.")
    return tuple(penalties)


def penalised(
    data: Tensor, penalties: Sequence[Penalty], *, network: Network, run: NetworkRun, share: float = 1.0
) -> tuple[Tensor, dict[str, float]]:
    """Return ``data + share * sum of penalties`` and the terms by name; without penalties there are no terms.

    `share` is that of the frames in `run` among those of the batch.
    """
    if not penalties:
        return data, {}
    loss, terms = data, {"data": float(data.detach())}
    for penalty in penalties:
        value = penalty(network, run)
        if value.dim():
            raise ValueError(f"The penalty {penalty.name!r} is {tuple(value.shape)}, but it must be a scalar.")
        if share != 1:
            value = share * value
        loss = loss + value
        terms[penalty.name] = float(value.detach())
    return loss, terms

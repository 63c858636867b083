"""Penalties: what a rule makes small beside the loss on the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from neurotorch.learning.checks import check_scalar
from neurotorch.network.network import Network, NetworkRun

RESERVED = ("data", "loss", "epoch", "seconds")
"""Names that reports and histories have already."""


@runtime_checkable
class Penalty(Protocol):
    """A term that is added to the loss, and reported under its name.

    Attributes
    ----------
    name
        Of the term in reports and histories; none of ``"data"``, ``"loss"``, ``"epoch"`` and ``"seconds"``.
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
    """Return `penalties`, or raise if they are none, or if their names could not be told apart in a report."""
    if not isinstance(penalties, Sequence):
        raise TypeError(f"`penalties` is {penalties!r}, but it must be a list, of one penalty or several.")
    for penalty in penalties:
        if not isinstance(penalty, Penalty) or not isinstance(penalty.name, str):
            raise TypeError(
                f"`penalties` holds {penalty!r}, but a penalty is an object with a text as `name` that can be called "
                "with a network and its run, such as FiringRatePenalty(...)."
            )
    names = [penalty.name for penalty in penalties]
    for name in names:
        if name in RESERVED:
            raise ValueError(f"A penalty is named {name!r}, the name of another column of the history: rename it.")
        if names.count(name) > 1:
            raise ValueError(f"{names.count(name)} penalties are named {name!r}: give each a name of its own.")
    return tuple(penalties)


def penalised(
    data: Tensor, penalties: Sequence[Penalty], *, network: Network, run: NetworkRun, share: float = 1.0
) -> tuple[Tensor, dict[str, float]]:
    """Return ``data + share * sum of penalties`` and the terms by name; without penalties there are no terms.

    `share` is that of the frames in `run` among those of the batch.
    """
    check_scalar(data)
    if not penalties:
        return data, {}
    loss, terms = data, {"data": float(data.detach())}
    for penalty in penalties:
        value = penalty(network, run)
        if not isinstance(value, Tensor) or value.dim():
            found = tuple(value.shape) if isinstance(value, Tensor) else repr(value)
            raise ValueError(f"The penalty {penalty.name!r} is {found}, but it must be a scalar tensor.")
        if share != 1:
            value = share * value
        loss = loss + value
        terms[penalty.name] = float(value.detach())
    return loss, terms

"""Rewiring that keeps the density: connections that reached zero are removed, and as many grow elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

from neurotorch.connections.connection import Connection
from neurotorch.connections.magnitude import Absolute, Projected
from neurotorch.core.checks import check_generator, check_kind

GROWN = 1e-12
"""Magnitude of a connection that has just grown: above zero, where the maps have a gradient, and below any effect."""


@torch.no_grad()
def rewire_(connection: Connection, *, within: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Move the connections whose raw parameter is not above zero to random places, in place.

    With the sign ``s_j`` of the presynaptic neuron, ``weight[i, j] = s_j raw[i, j]`` while ``raw`` is above zero. Where
    it is not the connection leaves the mask; as many places are then drawn, each set equally likely, among those of
    `within` that are empty, those just left included, and start with a magnitude of 1e-12.

    Parameters
    ----------
    connection : Connection
        With a mask, and a `dale` without free neurons whose magnitude is `Projected()` or `Absolute()`. Its buffer
        `mask` and its parameter `raw` are changed.
    within : (post, pre) bool
        Where connections may be.
    generator : torch.Generator, optional
        Where the randomness comes from; torch's own unless given.

    Returns
    -------
    Tensor
        ``(post, pre)`` bool: where a connection left, or grew.

    Raises
    ------
    ValueError
        If the connection is of another kind, or `within` does not fit it or leaves out connections that exist.

    References
    ----------
    Bellec, Kappel, Maass & Legenstein (2018), ICLR, doi:10.48550/arXiv.1711.05136, algorithm 1.
    """
    mask, device = check_rewirable(connection, within), check_generator(generator)
    gone = mask & ~(connection.raw > 0)
    count = int(gone.sum())
    if not count:
        return gone
    mask &= ~gone
    empty = (within.to(mask.device) & ~mask).flatten().nonzero().flatten()
    drawn = torch.randperm(len(empty), generator=generator, device=device)[:count]
    grown = torch.zeros_like(mask)
    grown.view(-1)[empty[drawn.to(empty.device)]] = True
    mask |= grown
    connection.raw[gone] = 0.0
    connection.raw[grown] = GROWN
    return gone | grown


def check_rewirable(connection: Connection, within: Tensor) -> Tensor:
    """Return the mask of `connection`, or raise if it cannot be rewired inside `within`."""
    check_kind("connection", connection, Connection, example="network.connections()['cortex.recurrent']")
    check_kind("within", within, Tensor, example="no_self(neurons)")
    mask, dale = connection.mask, connection.dale
    if mask is None:
        raise ValueError(
            "Rewiring keeps the density of a mask, and the connection has none: build it with one, such as "
            "`mask=sparse(post, pre, density=0.1)`."
        )
    if dale is None or bool((dale.signs == 0).any()):
        free = "no `dale`" if dale is None else f"{int((dale.signs == 0).sum())} free neurons (sign 0)"
        raise ValueError(
            f"The connection has {free}, but rewiring removes a weight that would change its sign: give every "
            "presynaptic neuron a type, such as `Dale.fraction(neurons, 0.8, magnitude=Projected())`."
        )
    if not isinstance(dale.magnitude, Projected | Absolute):
        raise ValueError(
            f"The magnitude map is {dale.magnitude!r}, under which a weight does not reach zero by a step: rewiring is "
            "for `Projected()` and `Absolute()`."
        )
    if within.dtype != torch.bool or within.shape != mask.shape:
        raise ValueError(
            f"`within` is {within.dtype} of shape {tuple(within.shape)}, but it must be torch.bool of shape "
            f"{tuple(mask.shape)}, that of the mask."
        )
    outside = int((mask & ~within.to(mask.device)).sum())
    if outside:
        raise ValueError(f"`within` leaves out {outside} connections that exist: start from `mask & within`.")
    return mask

"""Masks ``(post, pre)``: True where a connection exists."""

from __future__ import annotations

import torch
from torch import Tensor

from neurotorch.core.checks import as_tensor, check_count, check_fraction, check_generator


class NoInputWarning(UserWarning):
    """A mask leaves neurons without any input from its connection."""


def no_self(neurons: int) -> Tensor:
    """Return the mask ``(neuron, neuron)`` of all connections but those of a neuron with itself."""
    return ~torch.eye(check_count("neurons", neurons), dtype=torch.bool)


def sparse(
    post: int,
    pre: int,
    *,
    density: float,
    generator: torch.Generator | None = None,
    self_connections: bool = False,
) -> Tensor:
    """Return a random mask ``(post, pre)`` with an exact number of connections, each set of that size equally likely.

    Parameters
    ----------
    post, pre : int
        Number of postsynaptic and presynaptic neurons.
    density : float
        Fraction in 0..1 of the possible connections that exist: exactly ``round(density * possible)`` (a half rounds to
        even).
    generator : torch.Generator, optional
        Where the randomness comes from; torch's own unless given.
    self_connections : bool
        Whether the diagonal of a square mask is possible. It has no meaning, and no effect, where `post` is not `pre`.
    """
    check_count("post", post)
    check_count("pre", pre)
    density = check_fraction("density", density)
    possible = no_self(post) if post == pre and not self_connections else torch.ones(post, pre, dtype=torch.bool)
    places = possible.flatten().nonzero().flatten()
    device = check_generator(generator)
    order = torch.randperm(len(places), generator=generator, device=device).cpu()
    mask = torch.zeros(post * pre, dtype=torch.bool)
    mask[places[order[: round(density * len(places))]]] = True
    return mask.reshape(post, pre)


def without_input(mask: Tensor) -> list[int]:
    """Return the postsynaptic neurons (rows) of a mask or weight matrix ``(post, pre)`` that nothing connects to."""
    table = as_tensor("mask", mask)
    if table.ndim != 2:
        raise ValueError(f"`mask` has shape {tuple(table.shape)}, but it must be (post, pre).")
    return [int(i) for i in (table == 0).all(dim=1).nonzero().flatten()]

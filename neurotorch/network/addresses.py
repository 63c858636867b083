"""Addresses: how the connections of a network are named, as ``"cortex.recurrent"`` or ``"readout -> cortex"``."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from neurotorch.connections.connection import Connection
from neurotorch.core.checks import check_finite, check_kind, nearest


def feedback_ends(address: str, sizes: Mapping[str, int], connection: Connection) -> tuple[int, int]:
    """Return the numbers of source and target layer of a feedback address.

    `sizes` maps the names of the layers, in order, to their neurons; `connection` must fit.
    """
    names = list(sizes)
    ends = address.split(" -> ")
    if len(ends) != 2:
        raise ValueError(f"A feedback address reads 'source -> target', but one is {address!r}.")
    for end in ends:
        if end not in names:
            raise ValueError(f"Feedback {address!r} names no layer {end!r}; there are {names}.{nearest(end, names)}")
    source, target = (names.index(end) for end in ends)
    if source < target:
        raise ValueError(
            f"Feedback {address!r} runs forwards: layers pass on what they emit by their input connections."
        )
    shape = (sizes[names[source]], sizes[names[target]])
    if (connection.pre, connection.post) != shape:
        raise ValueError(
            f"Feedback {address!r} needs Connection{shape}, but it is {(connection.pre, connection.post)}."
        )
    return source, target


def with_overrides(weights: Mapping[str, Tensor], overrides: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    """Return effective weights by address, some of them replaced."""
    found = dict(weights)
    if overrides is not None:
        check_kind("weights", overrides, Mapping, example="{'cortex.recurrent': weight}")
    for address, weight in (overrides or {}).items():
        if address not in found:
            raise ValueError(
                f"The network has no weight {address!r}; there are {sorted(found)}.{nearest(address, found)}"
            )
        check_kind(f"weights[{address!r}]", weight, Tensor, example="network.effective_weights()[address]")
        check_finite(f"weights[{address!r}]", weight)
        if weight.shape != found[address].shape:
            raise ValueError(
                f"Weight {address!r} is {tuple(weight.shape)}, but (post, pre) is {tuple(found[address].shape)}."
            )
        found[address] = weight
    return found

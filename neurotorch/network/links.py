"""Connections as links of the engine: one for every delay, with the pattern of what exists where that is little."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from neurotorch.connections.connection import Connection
from neurotorch.engine import Link
from neurotorch.engine.pattern import Pattern, worthwhile

_KNOWN: WeakKeyDictionary[Connection, dict[int, Pattern]] = WeakKeyDictionary()
"""The pattern of every part of a connection as it was last, by lag. Masks may change in place, so that each is compared
with its pattern before that is used again."""


def links_of(
    connection: Connection, weight: Tensor, *, pre: int, post: int, dt: float, replaced: bool = False
) -> list[Link]:
    """Return the links of a connection from population `pre` to `post`, one for every delay.

    Parameters
    ----------
    connection, weight
        Whose, and its effective weights ``(post, pre)`` or what stands in for them.
    pre, post
        Numbers of the populations.
    dt
        Step in seconds.
    replaced
        Whether `weight` is not the connection's own. It may then have entries where the mask has none, and whoever asks
        for its gradient wants that everywhere: in either case it has no pattern.
    """
    soonest = int(pre >= post)
    links = [Link(pre, post, part, delay=lag) for lag, part in connection.parts(dt, weight, soonest=soonest)]
    if torch.compiler.is_compiling() or (replaced and weight.requires_grad and torch.is_grad_enabled()):
        return links
    known, found = _KNOWN.get(connection, {}), {}
    for place, (link, mask) in enumerate(zip(links, connection.exists(dt, soonest=soonest), strict=True)):
        pattern = None if mask is None else _pattern(mask, known.get(link.lag))
        if pattern is not None:
            found[link.lag] = pattern
            if not replaced or pattern.holds(link.weight.detach()):
                links[place] = link._replace(pattern=pattern)
    _KNOWN[connection] = found
    return links


def _pattern(mask: Tensor, known: Pattern | None) -> Pattern | None:
    """Return the pattern of a mask, `known` if it still is that, or None where a dense weight is as fast."""
    if not worthwhile(mask):
        return None
    return known if known is not None and known.describes(mask) else Pattern(mask)

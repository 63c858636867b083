"""One warning for a fit whose mask leaves neurons without input, in place of one for every network it builds."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from neurotorch.connections import NoInputWarning, without_input
from neurotorch.core.checks import listed
from neurotorch.runs.blueprint import Blueprint
from neurotorch.runs.junctions import exists


@contextmanager
def said_once(blueprint: Blueprint, names: Sequence[str]) -> Iterator[None]:
    """Warn of the neurons without synapses or gap junctions, by the names of the recording, and not again inside."""
    lonely = [names[i] for i in _alone(blueprint, len(names))]
    if 0 < len(lonely) < len(names):
        warnings.warn(
            f"`mask` leaves {len(lonely)} of the {len(names)} neurons without input from the others: {listed(lonely)}. "
            "They are forecast from their own past alone.",
            NoInputWarning,
            stacklevel=4,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoInputWarning)
        yield


def _alone(blueprint: Blueprint, count: int) -> list[int]:
    """Return the neurons that the mask leaves without input and that have no junctions; none if shapes do not fit."""
    mask, electrical = blueprint.mask, blueprint.electrical
    if mask is None or len(mask) != count:
        return []
    joined = torch.zeros(count, dtype=torch.bool)
    if electrical is not None and len(electrical) == count:
        joined = exists(electrical).any(dim=1)
    return [i for i in without_input(mask) if not joined[i]]

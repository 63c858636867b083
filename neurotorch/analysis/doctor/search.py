"""Trying changes on copies of a network, from the mildest on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from torch import Tensor

from neurotorch.analysis.doctor.changes import Change
from neurotorch.analysis.doctor.look import Look, look
from neurotorch.data.windows import Batch
from neurotorch.network.network import Network

REFINEMENTS = 3


class Tried(NamedTuple):
    """A change, and how many neurons have a fault after it."""

    change: Change
    left: int


class Trial:
    """A network and what it is run on; changes are made to copies.

    Parameters
    ----------
    network, batch, frames
        As `examine` takes them.
    """

    def __init__(self, network: Network, batch: Batch | Tensor | None, *, frames: int) -> None:
        self.network, self.batch, self.frames = network, batch, frames

    def after(self, change: Change) -> tuple[Network, Look] | None:
        """Return a changed network and its run; None where it has not one finite step."""
        changed = copy.deepcopy(self.network)
        change.apply_(changed)
        try:
            return changed, look(changed, self.batch, frames=self.frames)
        except FloatingPointError:
            return None

    def mildest(
        self,
        make: Callable[[float], Change],
        strengths: Sequence[float],
        *,
        count: Callable[[Network, Look], int],
        allowed: int,
    ) -> Tried | None:
        """Return the mildest change that leaves no more than `allowed` faults, or the one that leaves fewest.

        `strengths` go from mild to strong and have one sign; between the last that does not suffice and the first that
        does, the geometric middle is tried as well. Numbers have two digits, so that what is proposed is what was
        tried. None where nothing could be run.
        """
        tried: list[Tried] = []
        failed: float | None = None
        for strength in strengths:
            found = self._try(make, strength, count)
            if found is None:
                continue
            tried.append(found)
            if found.left <= allowed:
                return found if failed is None else self._refined(make, failed, strength, count, allowed, found)
            failed = strength
        return min(tried, key=lambda each: each.left, default=None)

    def _refined(
        self,
        make: Callable[[float], Change],
        failed: float,
        sufficed: float,
        count: Callable[[Network, Look], int],
        allowed: int,
        best: Tried,
    ) -> Tried:
        for _ in range(REFINEMENTS):
            middle = (1 if sufficed > 0 else -1) * (failed * sufficed) ** 0.5
            found = self._try(make, middle, count)
            if found is not None and found.left <= allowed:
                best, sufficed = found, middle
            else:
                failed = middle
        return best

    def _try(
        self, make: Callable[[float], Change], strength: float, count: Callable[[Network, Look], int]
    ) -> Tried | None:
        change = make(float(f"{strength:.2g}"))
        run = self.after(change)
        return None if run is None else Tried(change, count(*run))


def first_that_mends(attempts: Iterable[Tried | None], *, allowed: int) -> Tried | None:
    """Return the first change that leaves no more than `allowed` faults, or else the one that leaves fewest."""
    best: Tried | None = None
    for found in attempts:
        if found is None:
            continue
        if found.left <= allowed:
            return found
        best = found if best is None or found.left < best.left else best
    return best

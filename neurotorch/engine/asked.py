"""Whose gradients a reverse scan is to find, and the gradients of the outputs that it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from neurotorch.core.trees import leaves
from neurotorch.engine.circuit import Population


class Wanted(NamedTuple):
    """Which gradients of one population are wanted, in the order of its tensors."""

    coefficients: list[bool]
    state: list[bool]
    history: bool
    current: bool
    drive: list[bool]
    inputs: list[bool]  # of their weights


class Received(NamedTuple):
    """The gradients of one population's outputs; time is axis 0 where there is time, and what is absent is zero."""

    emitted: Tensor | None
    seen: Tensor | None
    final: list[Tensor | None]  # of the state after the last step
    states: list[Tensor | None]
    current: Tensor | None

    def during(self, block: slice) -> Received:
        """Return what was received over a block of time."""
        emitted, seen, current, *states = [
            None if gradient is None else gradient[block]
            for gradient in (self.emitted, self.seen, self.current, *self.states)
        ]
        return Received(emitted, seen, self.final, states, current)


def split_wanted(populations: Sequence[Population], needs: Sequence[bool]) -> tuple[list[Wanted], list[bool]]:
    """Return what is wanted of every population, and of every link's weight."""
    left, wanted = list(needs), []
    for p in populations:
        coefficients = [left.pop(0) for _ in leaves(p.coefficients)]
        state = [left.pop(0) for _ in leaves(p.state)]
        history, current = left.pop(0), left.pop(0)
        drive, inputs = [left.pop(0) for _ in p.drive], [left.pop(0) for _ in leaves(p.inputs)]
        wanted.append(Wanted(coefficients, state, history, current, drive, inputs[1::2]))
    return wanted, left


def split_received(
    populations: Sequence[Population], gradients: Sequence[Tensor | None], *, record: bool
) -> list[Received]:
    """Return what every population received; with `record`, states and currents are among the outputs."""
    left, received = list(gradients), []
    for p in populations:
        fields = range(len(leaves(p.state)))
        emitted, seen, final = left.pop(0), left.pop(0), [left.pop(0) for _ in fields]
        states = [left.pop(0) if record else None for _ in fields]
        received.append(Received(emitted, seen, final, states, left.pop(0) if record else None))
    return received

"""The loop in plain torch that *defines* what is correct. Every other engine differs from it by rounding only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neurotorch.core.trees import leaves, rebuild
from neurotorch.engine.circuit import Link, Population, Run, drive_at, project, summed_current
from neurotorch.engine.circuit_checks import check_circuit


def scan(
    populations: Sequence[Population], links: Sequence[Link], *, record: bool = False, recompute: bool = False
) -> tuple[Run, ...]:
    """Run a circuit; gradients are those of autograd through the loop.

    Parameters
    ----------
    populations
        In the order in which a step visits them.
    links
        Connections between them.
    record
        Whether to keep the states after every step and the currents.
    recompute
        Taken for the sake of one signature: autograd keeps its graph all the same.

    Returns
    -------
    tuple of Run
        One per population.
    """
    del recompute
    check_circuit(populations, links)
    populations = [project(population) for population in populations]
    steps = populations[0].current.shape[0]
    states: list[Any] = [population.state for population in populations]
    emitted = [list(population.history) for population in populations]
    records = [_Record() for _ in populations]
    for t in range(steps):
        at = [len(population.history) + t for population in populations]
        for index, population in enumerate(populations):
            current = summed_current(index, population.current[t], links, emitted, at, states[index])
            z, seen, states[index] = population.step(
                population.coefficients, states[index], current, drive_at(population, t)
            )
            emitted[index].append(z)
            records[index].add(z, seen, states[index], current, record)
    return tuple(record.run(state) for record, state in zip(records, states, strict=True))


class _Record:
    """The sequences of one population, while they grow."""

    def __init__(self) -> None:
        self.emitted: list[Tensor] = []
        self.seen: list[Tensor] = []
        self.states: list[list[Tensor]] = []
        self.currents: list[Tensor] = []

    def add(self, emitted: Tensor, seen: Tensor, state: Any, current: Tensor, everything: bool) -> None:
        self.emitted.append(emitted)
        self.seen.append(seen)
        if everything:
            self.states.append(leaves(state))
            self.currents.append(current)

    def run(self, state: Any) -> Run:
        emitted, seen = torch.stack(self.emitted), torch.stack(self.seen)
        if not self.states:
            return Run(emitted, seen, state)
        states = rebuild(state, [torch.stack(field) for field in zip(*self.states, strict=True)])
        return Run(emitted, seen, state, states, torch.stack(self.currents))

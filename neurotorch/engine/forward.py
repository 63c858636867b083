"""The forward scan without a graph, as a loop in torch: for every step and device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neurotorch.core.trees import leaves
from neurotorch.engine.circuit import Link, Population, drive_at, summed_current


class Trace(NamedTuple):
    """What the forward scan of one population leaves for the reverse scan; time is axis 0."""

    before: tuple[Tensor, ...]  # state fields before every step
    current: Tensor
    emitted: Tensor  # longer than time: the history comes first


def run_forward(
    populations: Sequence[Population], links: Sequence[Link], *, record: bool, keep: bool
) -> tuple[tuple[Trace, ...], list[Tensor]]:
    """Run the circuit without a graph; return what the reverse scan needs (where it is to be kept), and the outputs."""
    states: list[Any] = [population.state for population in populations]
    emitted = [list(population.history) for population in populations]
    seen: list[list[Tensor]] = [[] for _ in populations]
    fields: list[list[list[Tensor]]] = [[leaves(state)] for state in states]
    currents: list[list[Tensor]] = [[] for _ in populations]
    for t in range(populations[0].current.shape[0]):
        at = [len(population.history) + t for population in populations]
        for index, population in enumerate(populations):
            current = summed_current(index, population.current[t], links, emitted, at, states[index])
            z, y, states[index] = population.step(
                population.coefficients, states[index], current, drive_at(population, t)
            )
            emitted[index].append(z)
            seen[index].append(y)
            if keep or record:
                fields[index].append(leaves(states[index]))
                currents[index].append(current)
    traces, outputs = [], []
    for index, state in enumerate(states):
        activity = torch.stack(emitted[index])
        outputs += [
            activity[len(populations[index].history) :],
            torch.stack(seen[index]),
            *[leaf.clone() for leaf in leaves(state)],
        ]
        if keep or record:
            sequences = [torch.stack(field) for field in zip(*fields[index], strict=True)]
            current = torch.stack(currents[index])
            traces.append(Trace(tuple(sequence[:-1] for sequence in sequences), current, activity))
            if record:
                outputs += [*[sequence[1:] for sequence in sequences], current]
    return tuple(traces), outputs

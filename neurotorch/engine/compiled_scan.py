"""Both scans on the machine, and what is kept between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from neurotorch.engine.asked import Received, Wanted
from neurotorch.engine.choice import Compiled
from neurotorch.engine.circuit import Link, Population
from neurotorch.engine.compiled_forward import (
    Forward,
    Needs,
    Rows,
    allocate,
    block_length,
    border,
    everything,
    last_states,
    nothing,
)
from neurotorch.engine.compiled_reverse import Reverse, needs_of


class Kept(NamedTuple):
    """What the forward scan leaves for the reverse scan.

    Attributes
    ----------
    rows
        Per population: its activity, and what the reverse scan reads of states and currents.
    needs
        Which of them it reads.
    borders
        With `recompute`: the states before every block of time, ``(block, batch, neuron)`` for every field of every
        population; states within a block are run again. Empty otherwise.
    """

    rows: tuple[Rows, ...]
    needs: tuple[Needs, ...]
    borders: tuple[Tensor, ...]


def forward(
    compiled: Compiled,
    populations: Sequence[Population],
    links: Sequence[Link],
    *,
    wanted: Sequence[Wanted] | None,
    record: bool,
    recompute: bool,
) -> tuple[Kept | None, list[Tensor | None]]:
    """Run the circuit; return what the reverse scan needs if gradients are `wanted`, and the outputs.

    What is seen is None among the outputs where it is the emitted activity itself.
    """
    steps = populations[0].current.shape[0]
    needs = _needs(compiled, populations, links, wanted)
    coupled = any(link.field is not None for link in links)  # gradients of their weights read states across blocks
    recompute = recompute and wanted is not None and not record and not coupled and _saves(populations, links, needs)
    rows = [
        allocate(
            population,
            each.program,
            everything(population) if record else need,
            linked=_linked(index, population, links),
            kept=block_length(steps) + 1 if recompute else steps + 1,
        )
        for index, (population, each, need) in enumerate(zip(populations, compiled.traced, needs, strict=True))
    ]
    scan, borders = Forward(compiled.kernel, populations, links, compiled.traced, rows), []
    for first, last in _blocks(steps) if recompute else [(0, steps)]:
        borders.append([row.clone() for row in border(rows, first)] if recompute else [])
        scan.run(first, last)
    outputs: list[Tensor | None] = []
    for population, mine in zip(populations, rows, strict=True):
        outputs += [mine.activity[len(population.history) :], mine.seen, *last_states(mine, steps)]
        if record:
            # What came in must not go out again.
            current = mine.current.clone() if mine.current is population.current else mine.current
            outputs += [*[field[1:] for field in mine.fields], current]
    if wanted is None:
        return None, outputs
    kept = [_pruned(mine, need, recompute) for mine, need in zip(rows, needs, strict=True)]
    return Kept(tuple(kept), tuple(needs), tuple(torch.stack(blocks) for blocks in zip(*borders, strict=True))), outputs


def backward(
    compiled: Compiled,
    populations: Sequence[Population],
    links: Sequence[Link],
    kept: Kept,
    *,
    wanted: Sequence[Wanted],
    weights: Sequence[bool],
    received: Sequence[Received],
) -> list[Tensor | None]:
    """Return the gradients in the order of the tensors that the scan was given."""
    steps, needs = populations[0].current.shape[0], kept.needs
    rows: Sequence[Rows] = kept.rows
    again = None
    if kept.borders:
        rows = [
            allocate(
                population,
                each.program,
                need,
                linked=_linked(index, population, links),
                kept=block_length(steps) + 1,
                activity=mine.activity,
            )
            for index, (population, each, need, mine) in enumerate(
                zip(populations, compiled.traced, needs, kept.rows, strict=True)
            )
        ]
        again = Forward(compiled.kernel, populations, links, compiled.traced, rows)
    reverse = Reverse(
        compiled.kernel,
        populations,
        links,
        compiled.traced,
        rows,
        needs,
        wanted=wanted,
        weights=weights,
        received=received,
    )
    if again is None:
        reverse.run(0, steps)
        return reverse.gradients()
    for block, (first, last) in reversed(list(enumerate(_blocks(steps)))):
        for row, states in zip(border(rows, first), kept.borders, strict=True):
            row.copy_(states[block])
        again.run(first, last)
        reverse.run(first, last)
    return reverse.gradients()


def _needs(
    compiled: Compiled, populations: Sequence[Population], links: Sequence[Link], wanted: Sequence[Wanted] | None
) -> list[Needs]:
    if wanted is None:
        return [nothing(population) for population in populations]
    needs = [needs_of(each.program, tuple(want.drive)) for each, want in zip(compiled.traced, wanted, strict=True)]
    for link in links:
        if link.field is not None:
            fields = list(needs[link.pre].fields)
            fields[link.field] = True
            needs[link.pre] = needs[link.pre]._replace(fields=tuple(fields))
    return needs


def _saves(populations: Sequence[Population], links: Sequence[Link], needs: Sequence[Needs]) -> bool:
    """Return whether states that are not kept take more memory than the weights that run them again."""
    kept = [p.current.numel() * (sum(need.fields) + need.current) for p, need in zip(populations, needs, strict=True)]
    return sum(kept) > sum(link.weight.numel() for link in links)


def _linked(index: int, population: Population, links: Sequence[Link]) -> bool:
    """Return whether anything adds to the current of a population within the scan."""
    return bool(population.inputs) or any(link.post == index for link in links)


def _blocks(steps: int) -> list[tuple[int, int]]:
    length = block_length(steps)
    return [(first, min(first + length, steps)) for first in range(0, steps, length)]


def _pruned(rows: Rows, needs: Needs, recompute: bool) -> Rows:
    """Return the rows with empty ones in place of what the reverse scan does not read."""
    empty = rows.activity.new_empty(0)
    fields = [field if need and not recompute else empty for field, need in zip(rows.fields, needs.fields, strict=True)]
    return Rows(rows.activity, tuple(fields), rows.current if needs.current and not recompute else empty, None)

"""The local Jacobian of a step over a block of time: one vectorised call and its pointwise derivatives, by torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from neurotorch.core.trees import leaves, rebuild
from neurotorch.engine.circuit import Population, drive_at
from neurotorch.engine.forward import Trace
from neurotorch.engine.slopes import Fixed, Slope, Varying


class Local(NamedTuple):
    """The local Jacobian of one population over a block of time.

    Entries are ``(time, batch, neuron)``, or `Fixed` where they are known not to change with time; those that vanish
    are None.
    """

    outputs: list[Tensor]  # emitted, seen, state fields: with a graph to `wanted` and the block's inputs
    of_emitted: list[Tensor | Fixed | None]  # d emitted / d (state fields, current)
    of_state: list[list[Tensor | Fixed | None]]  # d state field / d (state fields, current)
    from_seen: list[Tensor | None]  # (dL/d seen) d seen / d (state fields, current)
    wanted: list[Tensor]  # coefficients and drives whose gradient is wanted
    emitted_field: int | None  # the state field that is the emitted activity itself, as in most rate models


def linearise(
    population: Population,
    trace: Trace,
    block: slice,
    *,
    need_coefficients: Sequence[bool],
    need_drive: Sequence[bool],
    seen: Tensor | None,
    known: Sequence[Sequence[Slope]] | None,
) -> Local:
    """Call the step on a whole block of time and take its pointwise derivatives.

    `seen` is dL/d seen over all time; `known` is what `neurotorch.engine.slopes` knows beforehand, None for nothing.
    """
    with torch.enable_grad():
        before = [field[block].detach().requires_grad_() for field in trace.before]
        current = trace.current[block].detach().requires_grad_()
        coefficients = [
            leaf.detach().requires_grad_(need)
            for leaf, need in zip(leaves(population.coefficients), need_coefficients, strict=True)
        ]
        drive = [
            leaf.detach().requires_grad_(need)
            for leaf, need in zip(drive_at(population, block), need_drive, strict=True)
        ]
        z, y, after = population.step(
            rebuild(population.coefficients, coefficients),
            rebuild(population.state, before),
            current,
            tuple(drive),
        )
    fields = leaves(after)
    emitted_field = next((number for number, leaf in enumerate(fields) if leaf is z), None)
    inputs = [*before, current]
    given = [None] * (len(fields) + 1) if known is None else known
    return Local(
        [z, y, *fields],
        [None] * len(inputs) if emitted_field is not None else _row(z, inputs, given[0]),
        [_row(field, inputs, row) for field, row in zip(fields, given[1:], strict=True)],
        [None] * len(inputs) if seen is None else _derivatives(y, inputs, seen[block]),
        [leaf for leaf in (*coefficients, *drive) if leaf.requires_grad],
        emitted_field,
    )


def _row(output: Tensor, inputs: Sequence[Tensor], known: Sequence[Slope] | None) -> list[Tensor | Fixed | None]:
    """Return the derivatives of one output by every input, with autograd where they are not known."""
    if known is None:
        return list(_derivatives(output, inputs, torch.ones_like(output)))
    row: list[Tensor | Fixed | None] = [None if isinstance(slope, Varying) else slope for slope in known]
    varying = [k for k, slope in enumerate(known) if isinstance(slope, Varying)]
    if varying:
        found = _derivatives(output, [inputs[k] for k in varying], torch.ones_like(output))
        for k, entry in zip(varying, found, strict=True):
            row[k] = entry
    return row


def _derivatives(output: Tensor, inputs: Sequence[Tensor], seed: Tensor) -> list[Tensor | None]:
    """Return ``seed * d output / d input`` for every input, None where it vanishes."""
    if not output.requires_grad:
        return [None] * len(inputs)
    return list(torch.autograd.grad(output, inputs, seed, retain_graph=True, allow_unused=True))

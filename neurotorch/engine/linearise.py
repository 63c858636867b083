"""The local Jacobian of a step over a block of time: one vectorised call and its pointwise derivatives, by torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from neurotorch.core.trees import leaves, rebuild
from neurotorch.engine.circuit import Population, drive_at
from neurotorch.engine.forward import Trace


class Local(NamedTuple):
    """The local Jacobian of one population over a block of time.

    Entries are ``(time, batch, neuron)``; those that vanish are None.
    """

    outputs: list[Tensor]  # emitted, seen, state fields: with a graph to `wanted` and the block's inputs
    of_emitted: list[Tensor | None]  # d emitted / d (state fields, current)
    of_state: list[list[Tensor | None]]  # d state field / d (state fields, current)
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
) -> Local:
    """Call the step on a whole block of time and take its pointwise derivatives; `seen` is dL/d seen over all time."""
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
    return Local(
        [z, y, *fields],
        [None] * len(inputs) if emitted_field is not None else _derivatives(z, inputs, torch.ones_like(z)),
        [_derivatives(field, inputs, torch.ones_like(field)) for field in fields],
        [None] * len(inputs) if seen is None else _derivatives(y, inputs, seen[block]),
        [leaf for leaf in (*coefficients, *drive) if leaf.requires_grad],
        emitted_field,
    )


def _derivatives(output: Tensor, inputs: Sequence[Tensor], seed: Tensor) -> list[Tensor | None]:
    """Return ``seed * d output / d input`` for every input, None where it vanishes."""
    if not output.requires_grad:
        return [None] * len(inputs)
    return list(torch.autograd.grad(output, inputs, seed, retain_graph=True, allow_unused=True))

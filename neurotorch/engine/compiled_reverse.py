"""The reverse scan over one block of time on the machine.

It knows only Jacobian entries, links and the gradients of the loss, so that every model is a list of multiplications
and sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from neurotorch.engine import machine
from neurotorch.engine.circuit import Link
from neurotorch.engine.linearise import Local
from neurotorch.engine.plan import Plan
from neurotorch.engine.reverse_loop import Carried, Found, Received
from neurotorch.engine.slopes import Fixed


def run_block(
    kernel: Callable[..., None],
    locals_: Sequence[Local],
    received: Sequence[Received],
    carried: Sequence[Carried],
    links: Sequence[Link],
) -> tuple[list[Found], list[Carried]]:
    """Run the reverse scan over one block; parameters and result are those of `reverse_loop.run_block`.

    Gradients of emitted activity and states are returned only for populations of which a coefficient's or drive's is
    wanted.
    """
    like = locals_[0].outputs[0].detach()
    plan = Plan(len(like), like)
    currents = [_currents(local, carry) for local, carry in zip(locals_, carried, strict=True)]
    states = [[field.clone() for field in carry.states] for carry in carried]
    found: list[Found] = []
    for index in range(len(locals_) - 1, -1, -1):
        g_z, emitted = _emitted(plan, index, locals_[index], received[index], links, currents)
        outgoing = [(link, currents[link.post]) for link in links if link.pre == index and not link.detached]
        for link, current in outgoing:
            assert g_z is not None
            plan.add_product(
                plan.sequence(current, shift=1 if link.delayed else 0), g_z, link.weight.detach(), like.shape[1]
            )
        found.append(_write(plan, locals_[index], received[index], states[index], currents[index], g_z, emitted))
        plan.end_unit(currents[index][0].numel())
    plan.run(kernel, backwards=True)
    handed = [Carried(mine, current[0]) for mine, current in zip(states, currents, strict=True)]
    return found[::-1], handed


def _currents(local: Local, carry: Carried) -> Tensor:
    """Return room for the gradients of the block's currents, and of the one after it."""
    steps, *shape = local.outputs[0].shape
    currents = local.outputs[0].detach().new_empty(steps + 1, *shape)
    currents[-1] = 0 if carry.current is None else carry.current
    return currents


def _emitted(
    plan: Plan, index: int, local: Local, received: Received, links: Sequence[Link], currents: Sequence[Tensor]
) -> tuple[int | None, Tensor | None]:
    """Begin the gradient of emitted activity with that of the loss; return its operand, and its sequence if wanted."""
    if received.emitted is None and not any(link.pre == index and not link.detached for link in links):
        return None, None
    shape = currents[index].shape[1:]
    stored = None
    if local.wanted and local.emitted_field is None:
        stored = plan.like.new_empty(plan.steps, *shape)
        g_z = plan.sequence(stored)
    else:
        g_z = plan.row(plan.like.new_empty(shape))
    absent = plan.like.new_zeros(()).expand(plan.steps, *shape)
    plan.load(g_z, absent if received.emitted is None else received.emitted)
    return g_z, stored


def _write(
    plan: Plan,
    local: Local,
    received: Received,
    states: list[Tensor],
    currents: Tensor,
    g_z: int | None,
    emitted: Tensor | None,
) -> Found:
    """Write the instructions of one population."""
    rows, stored = [plan.row(state) for state in states], []
    gradients: list[int | None] = [g_z]
    for number, row in enumerate(rows):
        if local.wanted:
            stored.append(currents.new_empty(plan.steps, *currents.shape[1:]))
        out = plan.sequence(stored[number]) if local.wanted else plan.scratch()
        terms = [row]
        if (extra := received.states[number]) is not None:
            terms.append(plan.incoming(extra))
        if number == local.emitted_field and g_z is not None:
            terms.append(g_z)
        gradients.append(_sum(plan, terms, out))
    for number, out in enumerate([*rows, plan.sequence(currents)]):
        terms = []
        if (seen := local.from_seen[number]) is not None:
            terms.append(plan.incoming(seen))
        if number == len(rows) and received.current is not None:
            terms.append(plan.incoming(received.current))
        products = [
            (_entry(plan, entry, currents.shape[1:]), gradient)
            for entry, gradient in zip(
                [local.of_emitted[number], *[row[number] for row in local.of_state]], gradients, strict=True
            )
            if entry is not None and gradient is not None
        ]
        _sum_of_products(plan, terms, products, out)
    return Found(emitted, stored, currents[:-1])


def _entry(plan: Plan, entry: Tensor | Fixed, shape: torch.Size) -> int:
    return plan.constant(entry.value, shape) if isinstance(entry, Fixed) else plan.incoming(entry)


def _sum(plan: Plan, terms: list[int], out: int) -> int:
    """Write the sum of some operands; return its operand."""
    total = terms[0]
    for term in terms[1:-1]:
        total = plan.instruct(machine.ADD, plan.scratch(), total, term)
    if len(terms) == 1:
        return plan.instruct(machine.COPY, out, total)
    return plan.instruct(machine.ADD, out, total, terms[-1])


def _sum_of_products(plan: Plan, terms: list[int], products: list[tuple[int, int]], out: int) -> None:
    """Write ``sum terms + sum a b`` into `out`; zero where there is nothing to add."""
    if not products:
        _sum(plan, terms or [plan.number(0.0)], out)
        return
    total = None if not terms else terms[0] if len(terms) == 1 else _sum(plan, terms, plan.scratch())
    for place, (entry, gradient) in enumerate(products):
        target = out if place == len(products) - 1 else plan.scratch()
        if total is None:
            plan.instruct(machine.MULTIPLY, target, entry, gradient)
        else:
            plan.instruct(machine.MULTIPLY_ADD, target, entry, gradient, total)
        total = target

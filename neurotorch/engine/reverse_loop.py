"""The reverse scan over one block of time, as a loop in torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from neurotorch.engine.asked import Received
from neurotorch.engine.circuit import Link
from neurotorch.engine.linearise import Local


class Carried(NamedTuple):
    """What one population hands from a block to the one before it in time.

    `states`: gradients with respect to its state before the block; `currents`: with respect to the first currents after
    that, as many as the longest lag of a link that ends on the population.
    """

    states: list[Tensor]
    currents: list[Tensor]


class Found(NamedTuple):
    """The total gradients of one population over a block: with respect to emitted activity, state fields and currents.

    `emitted` is None where activity is a state field, or acts on nothing.
    """

    emitted: Tensor | None
    states: list[Tensor]
    current: Tensor


def run_block(
    locals_: Sequence[Local], received: Sequence[Received], carried: Sequence[Carried], links: Sequence[Link]
) -> tuple[list[Found], list[Carried]]:
    """Run the reverse scan over one block."""
    steps = locals_[0].outputs[0].shape[0]
    lambdas = [carry.states for carry in carried]
    after = [list(carry.currents) for carry in carried]  # g_I of the steps after
    reach = [max([0, *(link.lag for link in links if link.post == index)]) for index in range(len(locals_))]
    lambda_z: list[list[Tensor]] = [[] for _ in locals_]
    lambda_s: list[list[list[Tensor]]] = [[] for _ in locals_]
    lambda_i: list[list[Tensor]] = [[] for _ in locals_]
    for t in range(steps - 1, -1, -1):
        now: list[Tensor | None] = [None] * len(locals_)
        for index in range(len(locals_) - 1, -1, -1):
            local, external = locals_[index], received[index]
            g_z = None if external.emitted is None else external.emitted[t]
            g_z = through_links(index, links, g_z, now, after)
            g_s = [
                g if extra is None else g + extra[t] for g, extra in zip(lambdas[index], external.states, strict=True)
            ]
            if local.emitted_field is not None and g_z is not None:
                g_s[local.emitted_field] = g_s[local.emitted_field] + g_z
            *lambdas[index], g_i = _pull_back(local, t, g_z, g_s)
            if external.current is not None:
                g_i = g_i + external.current[t]
            for link in links:
                if link.field is not None and link.pre == index and not link.detached:
                    lambdas[index][link.field] = lambdas[index][link.field] + g_i @ link.weight
            now[index] = g_i
            if local.emitted_field is None:
                lambda_z[index].append(torch.zeros_like(g_i) if g_z is None else g_z)
            lambda_s[index].append(g_s)
            lambda_i[index].append(g_i)
        after = [[g, *later][:longest] for g, later, longest in zip(now, after, reach, strict=True) if g is not None]
    found = []
    for index in range(len(locals_)):
        g_state = [torch.stack(field[::-1]) for field in zip(*lambda_s[index], strict=True)]
        total = torch.stack(lambda_z[index][::-1]) if lambda_z[index] else None
        found.append(Found(total, g_state, torch.stack(lambda_i[index][::-1])))
    return found, [Carried(states, currents) for states, currents in zip(lambdas, after, strict=True)]


def through_links(
    index: int,
    links: Sequence[Link],
    total: Tensor | None,
    now: Sequence[Tensor | None],
    after: Sequence[Sequence[Tensor]],
    *,
    before: int = 1,
) -> Tensor | None:
    """Add what currents ask of the activity of population `index` at one step.

    `now` holds the gradients of that step's currents by population, `after` those of the steps from the one on that
    comes `before` steps later.
    """
    for later in (True, False):
        for link in links:
            if link.pre == index and link.field is None and not link.detached and (link.lag > 0) == later:
                place, gradients = link.lag - before, after[link.post]
                gradient = (gradients[place] if 0 <= place < len(gradients) else None) if later else now[link.post]
                if gradient is not None:
                    product = gradient @ link.weight
                    total = product if total is None else total + product
    return total


def _pull_back(local: Local, t: int, g_z: Tensor | None, g_state: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradients with respect to the state fields before step `t` and the current of step `t`."""
    pulled = []
    for number, base in enumerate(local.from_seen):
        total = None if base is None else base[t]
        for row, gradient in ((local.of_emitted, g_z), *zip(local.of_state, g_state, strict=True)):
            entry = row[number]
            if isinstance(entry, Tensor) and gradient is not None:
                total = entry[t] * gradient if total is None else torch.addcmul(total, entry[t], gradient)
        pulled.append(torch.zeros_like(g_state[0]) if total is None else total)
    return pulled

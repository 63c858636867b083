"""The reverse scan on the machine: the reverse programs of steps, written into a plan.

With ``lambda`` the gradients of a step's outputs (its emitted activity `z` and its state), a step back in time is::

    g_z(t) = dL/dz(t) + W^T g_I(t+d)          (d: the lag of the link)
    (lambda(t-1), g_I(t), gradients of coefficients and drives) = the reverse program of the step

and every few steps the gradients of weights gain ``sum over t of g_I(t) z(t-d)^T``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from neurotorch.engine.asked import Received, Wanted
from neurotorch.engine.circuit import Link, Population
from neurotorch.engine.compiled_forward import Needs, Rows, incoming_drives, shows_activity
from neurotorch.engine.differentiate import ReverseProgram, differentiate
from neurotorch.engine.lowering import lower, reached
from neurotorch.engine.pattern import existing
from neurotorch.engine.plan import Plan, period
from neurotorch.engine.program import Operand, Program, Traced, Value


@functools.lru_cache(maxsize=256)
def needs_of(program: Program, drives: tuple[bool, ...]) -> Needs:
    """Return which rows the reverse scan reads, whatever the loss turns out to be; `drives`: which are learned."""
    fields = len(program.outputs) - 2
    reverse = differentiate(program, (1, int(not shows_activity(program)), *[1] * fields, 0))
    after = _values_after(program, reverse)
    found = reached(
        reverse,
        stops=frozenset(value for value in (_emitted_value(program, reverse), *after) if value is not None),
        ends=(*reverse.gradients[: fields + 1], *_of_drives(reverse, drives), *reverse.sums),
    )
    return Needs(tuple(Value(k) in found or after[k] in found for k in range(fields)), Value(fields) in found)


class _Coupling(NamedTuple):
    """A field of the state that acts on the currents of the next step, and through which weights."""

    field: int
    weight: Tensor


class _Found(NamedTuple):
    """Where the gradients of one population gather."""

    states: list[Tensor]  # a ring of two rows each
    currents: Tensor
    totals: list[Tensor]  # of the learned constants, a ring of two rows each
    drives: list[Tensor | None]


class Reverse:
    """The reverse scan of a circuit: `run` executes a stretch of steps, the last one first.

    Parameters
    ----------
    kernel, populations, links, traced
        As of the forward scan.
    rows, needs
        What the forward scan left.
    wanted, weights, received
        Whose gradients are wanted, and those of the outputs.
    """

    def __init__(
        self,
        kernel: Callable[..., None],
        populations: Sequence[Population],
        links: Sequence[Link],
        traced: Sequence[Traced],
        rows: Sequence[Rows],
        needs: Sequence[Needs],
        *,
        wanted: Sequence[Wanted],
        weights: Sequence[bool],
        received: Sequence[Received],
    ) -> None:
        self._kernel, self._populations, self._links, self._traced = kernel, populations, links, traced
        self._rows, self._needs, self._wanted, self._received = rows, needs, wanted, received
        self.steps, self._batch = populations[0].current.shape[:2]
        self._plan = Plan(self.steps, populations[0].history[0])
        self._currents = [self._room(index) for index in range(len(populations))]
        self._found = [self._write(index) for index in range(len(populations) - 1, -1, -1)][::-1]
        self._inputs = [self._collect_inputs(index) for index in range(len(populations))]
        self._weights = [self._collect_link(link) if need else None for link, need in zip(links, weights, strict=True)]

    def run(self, first: int, last: int) -> None:
        """Execute the steps from `last`, not included, down to `first`."""
        self._plan.run(self._kernel, first, last, backwards=True)

    def gradients(self) -> list[Tensor | None]:
        """Return the gradients in the order of the tensors that the scan was given."""
        gradients: list[Tensor | None] = []
        for index, (want, found) in enumerate(zip(self._wanted, self._found, strict=True)):
            gradients += _of_coefficients(self._traced[index], want, found)
            gradients += [self._of_state(index, field) if need else None for field, need in enumerate(want.state)]
            gradients.append(self._of_history(index) if want.history else None)
            gradients.append(found.currents[: self.steps] if want.current else None)
            gradients += [
                None if rows is None else rows.sum_to_size(drive.shape)
                for rows, drive in zip(found.drives, self._populations[index].drive, strict=True)
            ]
            for total in self._inputs[index]:
                gradients += [None, None if total is None else total.t()]
        return gradients + [None if collected is None else collected() for collected in self._weights]

    def _room(self, index: int) -> Tensor:
        """Return room for the gradients of currents: all of them, or a ring. Those after the last step are zero."""
        reach = max([1, *(link.lag for link in self._links if link.post == index)])
        rows, length = self.steps + reach, period(self.steps, self._batch)
        while length <= reach:  # a ring holds a step, and those that its activity reaches
            length *= 2
        if not self._wanted[index].current and length <= self.steps:
            rows = length
        like = self._populations[index].history[0]
        currents = like.new_empty(rows, *like.shape)
        for step in range(self.steps, self.steps + reach):
            currents[step if rows > self.steps else step & (rows - 1)] = 0
        return currents

    def _current(self, index: int, *, shift: int = 0) -> int:
        currents = self._currents[index]
        return self._plan.sequence(currents, shift=shift, ring=len(currents) <= self.steps)

    def _collect_link(self, link: Link) -> Callable[[], Tensor]:
        """Collect the gradient of a weight; return what hands it out ``(post, pre)`` in the end."""
        if link.field is None:
            shift = len(self._populations[link.pre].history) - link.lag
            activity = self._plan.sequence(self._rows[link.pre].activity, shift=shift)
        else:
            activity = self._plan.sequence(self._rows[link.pre].fields[link.field])
        if (pattern := existing(link.pattern, self._batch)) is None:
            return self._collect(link.weight, activity, link.post).t
        total = pattern.zeros(link.weight)
        self._plan.add_masked_outer(activity, self._current(link.post), total, self._batch)
        return functools.partial(pattern.dense, total)

    def _collect_inputs(self, index: int) -> list[Tensor | None]:
        return [
            self._collect(weight, self._plan.sequence(activity.detach().contiguous()), index) if need else None
            for (activity, weight), need in zip(
                self._populations[index].inputs, self._wanted[index].inputs, strict=True
            )
        ]

    def _collect(self, weight: Tensor, activity: int, post: int) -> Tensor:
        total = weight.new_zeros(weight.shape[::-1])
        self._plan.add_outer(activity, self._current(post), total, self._batch)
        return total

    def _write(self, index: int) -> _Found:
        """Write what a step back in time does to one population."""
        plan, population, (program, constants, _) = self._plan, self._populations[index], self._traced[index]
        received, wanted = self._received[index], self._wanted[index]
        emitted = self._write_emitted(index)
        others = [received.seen, *received.states, received.current]
        counts = [int(emitted is not None), *(int(gradient is not None) for gradient in others)]
        for link in self._coupling(index):
            counts[2 + link.field] = 1
        counts[2:-1] = [1 + count for count in counts[2:-1]]  # of a state field, there is also what was carried here
        reverse = differentiate(program, tuple(counts))
        found = self._allocate(index, reverse)
        carried = [plan.sequence(ring, shift=1, ring=True) for ring in found.states]
        incoming = [None if gradient is None else plan.incoming(gradient) for gradient in others]
        for link in self._coupling(index):
            incoming[1 + link.field] = self._write_coupled(index, link, others[1 + link.field])
        operands = [[emitted], incoming[:1], *zip(carried, incoming[1:-1], strict=True), incoming[-1:]]
        given: dict[Operand, int] = {
            value: operand
            for values, group in zip(reverse.received, operands, strict=True)
            for value, operand in zip(values, [x for x in group if x is not None], strict=True)
        }
        given |= dict(zip(reverse.totals, [plan.sequence(r, shift=1, ring=True) for r in found.totals], strict=True))
        ends: list[tuple[Operand, int]] = list(
            zip(
                reverse.gradients[: len(found.states) + 1],
                [*(plan.sequence(ring, ring=True) for ring in found.states), self._current(index)],
                strict=True,
            )
        )
        ends += zip(reverse.sums, [plan.sequence(ring, ring=True) for ring in found.totals], strict=True)
        ends += zip(
            _of_drives(reverse, wanted.drive), [plan.sequence(r) for r in found.drives if r is not None], strict=True
        )
        given |= self._given_rows(index, reverse, [end for end, _ in ends])
        lower(plan, reverse, constants, given=given, ends=ends, shape=population.history.shape[1:])
        plan.end_unit(population.history[0].numel())
        return found

    def _write_emitted(self, index: int) -> int | None:
        """Write the gradient of emitted activity; return its operand, None if there is none."""
        plan, gradient = self._plan, self._received[index].emitted
        outgoing = [x for x in self._links if x.pre == index and x.field is None and not x.detached]
        if not outgoing:
            return None if gradient is None else plan.incoming(gradient)
        like = self._populations[index].history[0]
        g_z = plan.row(torch.empty_like(like, memory_format=torch.contiguous_format))
        absent = like.new_zeros(()).expand(self.steps, *like.shape)
        plan.load(g_z, absent if gradient is None else gradient)
        for link in outgoing:
            current = self._current(link.post, shift=link.lag)
            if (pattern := existing(link.pattern, self._batch)) is None:
                plan.add_product(current, g_z, link.weight.detach(), self._batch, sparse=False)
            else:
                plan.add_masked_product(current, g_z, pattern.by_pre(link.weight.detach()), self._batch)
        return g_z

    def _coupling(self, index: int) -> list[_Coupling]:
        """Return the links that carry a state of a population, and gradients to it."""
        found: dict[int, Tensor] = {}
        for link in self._links:
            if link.pre == index and link.field is not None and not link.detached:
                weight = link.weight.detach()
                found[link.field] = found[link.field] + weight if link.field in found else weight
        return [_Coupling(field, weight) for field, weight in found.items()]

    def _write_coupled(self, index: int, link: _Coupling, gradient: Tensor | None) -> int:
        """Write the gradient of a state field that acts on the next step's currents; return its operand."""
        plan, like = self._plan, self._populations[index].history[0]
        row = plan.row(torch.empty_like(like, memory_format=torch.contiguous_format))
        plan.load(row, like.new_zeros(()).expand(self.steps, *like.shape) if gradient is None else gradient)
        plan.add_product(self._current(index, shift=1), row, link.weight, self._batch, sparse=False)
        return row

    def _of_state(self, index: int, field: int) -> Tensor:
        """Return the gradient of a field of the state before the first step."""
        total = self._found[index].states[field][0]
        for link in self._coupling(index):
            if link.field == field:
                total = total + self._currents[index][0] @ link.weight
        return total

    def _allocate(self, index: int, reverse: ReverseProgram) -> _Found:
        population, received = self._populations[index], self._received[index]
        like = population.history[0]
        states = []
        for final in received.final:
            ring = like.new_zeros(2, *like.shape)
            if final is not None:
                ring[self.steps & 1] = final
            states.append(ring)
        totals = [like.new_zeros(2, *like.shape) for _ in reverse.learned]
        drives = [like.new_empty(self.steps, *like.shape) if need else None for need in self._wanted[index].drive]
        return _Found(states, self._currents[index], totals, drives)

    def _given_rows(self, index: int, reverse: ReverseProgram, ends: Sequence[Operand]) -> dict[Operand, int]:
        """Return the operands of the values that need not be computed, because the forward scan left them."""
        plan, population, program = self._plan, self._populations[index], self._traced[index].program
        rows, needs = self._rows[index], self._needs[index]
        given: dict[Operand, int] = {}
        if (emitted := _emitted_value(program, reverse)) is not None:
            given[emitted] = plan.sequence(rows.activity, shift=len(population.history))
        for k, (field, value) in enumerate(zip(rows.fields, _values_after(program, reverse), strict=True)):
            if needs.fields[k]:
                ring = len(field) <= self.steps
                given[Value(k)] = plan.sequence(field, ring=ring)
                if value is not None:
                    given[value] = plan.sequence(field, shift=1, ring=ring)
        if needs.current:
            given[Value(len(rows.fields))] = plan.sequence(rows.current, ring=len(rows.current) < self.steps)
        if population.drive:
            used = reached(reverse, stops=frozenset(given), ends=tuple(ends))
            given |= incoming_drives(plan, population, used)
        return given

    def _of_history(self, index: int) -> Tensor:
        total = torch.zeros_like(self._populations[index].history)
        for link in self._links:
            if link.pre == index and link.field is None and not link.detached:
                for row in range(len(total)):
                    step = row - len(total) + link.lag  # at which the row's activity arrives
                    if 0 <= step < self.steps:
                        total[row] += self._currents[link.post][step] @ link.weight.detach()
        return total


def _of_coefficients(traced: Traced, wanted: Wanted, found: _Found) -> list[Tensor | None]:
    """Return the gradients of the coefficients from those of the constants that were computed from them."""
    leaves_ = [leaf for leaf, need in zip(traced.coefficients, wanted.coefficients, strict=True) if need]
    constants = [constant for constant in traced.constants if constant.requires_grad]
    sums = [
        ring[0].sum_to_size(constant.shape).to(constant.dtype)
        for ring, constant in zip(found.totals, constants, strict=True)
    ]
    taken: Sequence[Tensor | None] = [None] * len(leaves_)
    if sums and leaves_:
        taken = torch.autograd.grad(constants, leaves_, sums, allow_unused=True, retain_graph=True)
    each = iter(taken)
    return [next(each) if need else None for need in wanted.coefficients]


def _of_drives(reverse: ReverseProgram, wanted: Sequence[bool]) -> list[Operand]:
    first = len(reverse.gradients) - len(wanted)
    return [end for end, need in zip(reverse.gradients[first:], wanted, strict=True) if need]


def _values_after(program: Program, reverse: ReverseProgram) -> list[Value | None]:
    """Return the values of the state's fields after a step, None for one that is not computed."""
    return [_computed(program, reverse, end) for end in program.outputs[2:]]


def _emitted_value(program: Program, reverse: ReverseProgram) -> Value | None:
    return _computed(program, reverse, program.outputs[0])


def _computed(program: Program, reverse: ReverseProgram, end: Operand) -> Value | None:
    value = reverse.values[end] if isinstance(end, Value) and end >= program.inputs else None
    assert value is None or isinstance(value, Value)
    return value

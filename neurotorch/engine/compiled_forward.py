"""The forward scan on the machine: programs of steps, written into a plan."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from neurotorch.core.trees import leaves
from neurotorch.engine import machine
from neurotorch.engine.circuit import Link, Population
from neurotorch.engine.lowering import lower, reached
from neurotorch.engine.pattern import existing
from neurotorch.engine.plan import Plan
from neurotorch.engine.program import Operand, Program, Traced, Value


class Needs(NamedTuple):
    """What the reverse scan reads of one population, and cannot compute from the rest."""

    fields: tuple[bool, ...]
    current: bool


class Rows(NamedTuple):
    """What one population writes; time is axis 0.

    Attributes
    ----------
    activity
        Longer than time: the history comes first.
    fields
        The state fields before every step and after the last; or a ring of the last rows, as many as a power of two.
    current
        The currents, or a ring of them; the external one itself where nothing is added.
    seen
        None where it is not wanted, or is the activity itself.
    """

    activity: Tensor
    fields: tuple[Tensor, ...]
    current: Tensor
    seen: Tensor | None


def allocate(
    population: Population, program: Program, needs: Needs, *, linked: bool, kept: int, activity: Tensor | None = None
) -> Rows:
    """Return rows for a population, the first of them filled in.

    Parameters
    ----------
    population, program, needs
        Whose rows.
    linked
        Whether a link ends at the population.
    kept
        How many rows to keep of what is needed: one more than the steps for all of them.
    activity
        Where activity was written before: then it is written there again, and what is seen is not.
    """
    steps, like, history = population.current.shape[0], population.history[0], population.history
    seen = None
    if activity is None:
        activity = like.new_empty(len(history) + steps, *like.shape)
        activity[: len(history)] = history
        if not shows_activity(program):
            seen = like.new_empty(steps, *like.shape)
    fields = []
    for leaf, needed in zip(leaves(population.state), needs.fields, strict=True):
        field = like.new_empty(kept if needed else 2, *like.shape)
        field[0] = leaf
        fields.append(field)
    current = population.current
    if linked or not current.is_contiguous():
        current = like.new_empty(min(kept, steps) if needs.current else 1, *like.shape)
    return Rows(activity, tuple(fields), current, seen)


class Forward:
    """The forward scan of a circuit: `run` executes a stretch of steps, from the rows that the one before left."""

    def __init__(
        self,
        kernel: Callable[..., None],
        populations: Sequence[Population],
        links: Sequence[Link],
        traced: Sequence[Traced],
        rows: Sequence[Rows],
    ) -> None:
        self._kernel, self.rows = kernel, rows
        self.steps, self._batch = populations[0].current.shape[:2]
        self._plan = Plan(self.steps, populations[0].history[0])
        for index, (population, each) in enumerate(zip(populations, traced, strict=True)):
            current = self._write_current(index, populations, links, traced)
            self._write_step(population, each, rows[index], current)
            self._plan.end_unit(population.history[0].numel())

    def run(self, first: int, last: int) -> None:
        """Execute the steps from `first` up to, not including, `last`."""
        self._plan.run(self._kernel, first, last)

    def _sequence(self, rows: Tensor, *, whole: int, shift: int = 0) -> int:
        return self._plan.sequence(rows, shift=shift, ring=len(rows) < whole)

    def _write_current(
        self, index: int, populations: Sequence[Population], links: Sequence[Link], traced: Sequence[Traced]
    ) -> int:
        mine, population = self.rows[index], populations[index]
        operand = self._sequence(mine.current, whole=self.steps)
        if mine.current is not population.current:
            self._plan.load(operand, population.current)
        for activity, weight in population.inputs:
            source = self._plan.sequence(activity.detach().contiguous())
            self._plan.add_product(source, operand, weight.detach().t(), self._batch, sparse=True)
        for link in links:
            if link.post == index:
                spikes = link.field is None and emits_spikes(traced[link.pre].program)
                if link.field is None:
                    shift = len(populations[link.pre].history) - link.lag
                    source = self._plan.sequence(self.rows[link.pre].activity, shift=shift)
                else:
                    source = self._sequence(mine.fields[link.field], whole=self.steps + 1)
                weight, pattern = link.weight.detach(), existing(link.pattern, self._batch)
                if pattern is None:
                    self._plan.add_product(source, operand, weight.t(), self._batch, sparse=spikes)
                else:
                    by_source = pattern.by_pre(weight) if spikes else None
                    stored = pattern.by_post(weight)
                    self._plan.add_masked_product(source, operand, stored, self._batch, by_source=by_source)
        return operand

    def _write_step(self, population: Population, traced: Traced, rows: Rows, current: int) -> None:
        plan, program, whole = self._plan, traced.program, self.steps + 1
        before = [self._sequence(field, whole=whole) for field in rows.fields]
        after = [self._sequence(field, whole=whole, shift=1) for field in rows.fields]
        ends: list[tuple[Operand, int]] = [
            (program.outputs[0], plan.sequence(rows.activity, shift=len(population.history)))
        ]
        if rows.seen is not None:
            ends.append((program.outputs[1], plan.sequence(rows.seen)))
        ends += zip(program.outputs[2:], after, strict=True)
        given: dict[Operand, int] = {Value(k): operand for k, operand in enumerate([*before, current])}
        if population.drive:
            used = reached(program, stops=frozenset(), ends=tuple(end for end, _ in ends))
            given |= incoming_drives(plan, population, used)
        lower(plan, program, traced.constants, given=given, ends=ends, shape=population.history.shape[1:])


def incoming_drives(plan: Plan, population: Population, used: Container[Operand]) -> dict[Operand, int]:
    """Return the operands of those drives that are used."""
    first = len(leaves(population.state)) + 1
    return {
        Value(first + k): plan.incoming(drive.detach().expand_as(population.current))
        for k, drive in enumerate(population.drive)
        if Value(first + k) in used
    }


def shows_activity(program: Program) -> bool:
    """Return whether what is seen is the emitted activity itself."""
    emitted, seen = program.outputs[:2]
    return isinstance(emitted, Value) and isinstance(seen, Value) and emitted == seen


def emits_spikes(program: Program) -> bool:
    """Return whether a step emits 1 and 0."""
    end = program.outputs[0]
    if not isinstance(end, Value) or end < program.inputs:
        return False
    return program.operations[end - program.inputs].code in (machine.SPIKE, machine.GREATER, machine.GREATER_EQUAL)


def everything(population: Population) -> Needs:
    """Return that all is needed."""
    return Needs((True,) * len(leaves(population.state)), True)


def nothing(population: Population) -> Needs:
    """Return that nothing is needed."""
    return Needs((False,) * len(leaves(population.state)), False)


def last_states(rows: Rows, steps: int) -> list[Tensor]:
    """Return the state fields after the last step."""
    return [field[steps if len(field) > steps else steps & (len(field) - 1)].clone() for field in rows.fields]


def border(rows: Sequence[Rows], step: int) -> list[Tensor]:
    """Return the rows of all fields of all populations that hold the states before a step."""
    return [field[step & (len(field) - 1)] for mine in rows for field in mine.fields]


def block_length(steps: int) -> int:
    """Return how many steps apart states are kept, where the steps between are run again: one less than a power of two.

    Near the square root of the steps what is kept and what is run again take the same memory.
    """
    return 2 ** max(1, round(torch.tensor(float(steps)).log2().item() / 2)) - 1

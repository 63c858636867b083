"""The forward scan on the machine: programs of steps, written into a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from neurotorch.core.trees import leaves
from neurotorch.engine import machine
from neurotorch.engine.circuit import Link, Population
from neurotorch.engine.forward import Trace
from neurotorch.engine.plan import Plan
from neurotorch.engine.tracing import Program, Value


class _Rows(NamedTuple):
    """What a population writes, and the operands of the rows that others read."""

    activity: Tensor  # one step longer: the history comes first
    seen: Tensor
    fields: tuple[Tensor, ...]  # before every step and after the last, or the last two alone
    current: Tensor  # at every step, or at one


def run_forward(
    kernel: Callable[..., None],
    populations: Sequence[Population],
    links: Sequence[Link],
    programs: Sequence[Program],
    *,
    record: bool,
    keep: bool,
) -> tuple[list[Trace], list[Tensor]]:
    """Run the circuit; parameters and result are those of `neurotorch.engine.forward.run_forward`."""
    steps, batch = populations[0].current.shape[:2]
    everything = keep or record
    plan = Plan(steps, populations[0].history)
    rows = [_allocate(p, any(link.post == index for link in links), everything) for index, p in enumerate(populations)]
    for index, (population, program) in enumerate(zip(populations, programs, strict=True)):
        mine = rows[index]
        # The current is written unless it is the one from outside as it stands.
        operand = plan.sequence(mine.current) if len(mine.current) == steps else plan.row(mine.current)
        if mine.current is not population.current:
            plan.load(operand, population.current)
        for link in links:
            if link.post == index:
                source = plan.sequence(rows[link.pre].activity, shift=0 if link.delayed else 1)
                plan.add_product(source, operand, link.weight.detach().t(), batch)
        _write(plan, population, program, mine, operand, everything)
        plan.end_unit(population.history.numel())
    plan.run(kernel)
    traces, outputs = [], []
    for population, mine in zip(populations, rows, strict=True):
        last = [field[steps if everything else steps % 2].clone() for field in mine.fields]
        outputs += [mine.activity[1:], mine.seen, *last]
        if everything:
            traces.append(Trace(tuple(field[:-1] for field in mine.fields), mine.current, mine.activity))
        if record:
            # What came in must not go out again.
            current = mine.current.clone() if mine.current is population.current else mine.current
            outputs += [*[field[1:] for field in mine.fields], current]
    return traces, outputs


def _allocate(population: Population, linked: bool, everything: bool) -> _Rows:
    steps, shape, like = population.current.shape[0], population.history.shape, population.history
    activity = like.new_empty(steps + 1, *shape)
    activity[0] = population.history
    fields = []
    for leaf in leaves(population.state):
        field = like.new_empty(steps + 1 if everything else 2, *shape)
        field[0] = leaf
        fields.append(field)
    current = population.current
    if linked or not current.is_contiguous():
        current = like.new_empty(steps if everything else 1, *shape)
    return _Rows(activity, like.new_empty(steps, *shape), tuple(fields), current)


def _write(plan: Plan, population: Population, program: Program, rows: _Rows, current: int, everything: bool) -> None:
    """Write the instructions of a step."""
    before = [plan.sequence(field, alternate=not everything) for field in rows.fields]
    after = [plan.sequence(field, shift=1, alternate=not everything) for field in rows.fields]
    targets = [plan.sequence(rows.activity, shift=1), plan.sequence(rows.seen), *after]
    used = _last_uses(program)
    drives = [
        plan.incoming(drive.detach().expand_as(population.current)) if Value(len(before) + 1 + k) in used else -1
        for k, drive in enumerate(population.drive)
    ]
    homes: dict[Value, int] = dict(zip(map(Value, range(program.inputs)), [*before, current, *drives], strict=True))
    direct: dict[Value, int] = {}  # the first output that a result is: it is written there at once
    for target, end in zip(targets, program.outputs, strict=True):
        if isinstance(end, Value) and end >= program.inputs:
            direct.setdefault(end, target)
    for place, operation in enumerate(program.operations):
        result = Value(program.inputs + place)
        if result not in used:
            continue
        given = [_home(plan, operand, homes, rows) for operand in operation.operands]
        homes[result] = direct[result] if result in direct else plan.scratch()
        plan.instruct(operation.code, homes[result], *given)
        for operand in {x for x in operation.operands if isinstance(x, Value)}:
            if operand >= program.inputs and operand not in direct and used[operand] == place:
                plan.release(homes[operand])
    for target, end in zip(targets, program.outputs, strict=True):
        if not (isinstance(end, Value) and direct.get(end) == target):
            plan.instruct(machine.COPY, target, _home(plan, end, homes, rows))


def _home(plan: Plan, operand: float | Tensor | Value, homes: dict[Value, int], rows: _Rows) -> int:
    """Return the number by which the plan knows what an operation takes."""
    if isinstance(operand, Value):
        return homes[operand]
    return plan.constant(operand, rows.seen.shape[1:])


def _last_uses(program: Program) -> dict[Value, int]:
    """Return the operation that uses each value last; what leads to no output is absent."""
    ends = len(program.operations)
    used = {end: ends for end in program.outputs if isinstance(end, Value)}
    for place in range(ends - 1, -1, -1):
        if Value(program.inputs + place) in used:
            for operand in program.operations[place].operands:
                if isinstance(operand, Value):
                    used.setdefault(operand, place)
    return used

"""Writes a list of operations into a plan: what nothing needs is left out, and rows are shared out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from neurotorch.engine import machine
from neurotorch.engine.plan import Plan
from neurotorch.engine.tracing import Operation, Value

End = float | Tensor | Value


def lower(
    plan: Plan,
    operations: Sequence[Operation],
    inputs: int,
    *,
    given: Mapping[Value, int],
    ends: Sequence[tuple[End, int]],
    shape: torch.Size,
    fuse_from: int | None = None,
) -> None:
    """Write what it takes to compute some ends.

    Parameters
    ----------
    plan
        Where to write.
    operations, inputs
        The program; its results are numbered from `inputs` on.
    given
        Operands of the values that need not be computed.
    ends
        What is wanted, and the operand that takes it.
    shape
        ``(batch, neuron)``, for constants.
    fuse_from
        The first operation whose sums may take a product with them, rounded once.
    """
    moved = aliases(operations, inputs)
    operations = [_redirect(operation, moved) for operation in operations]
    given = {moved.get(value, value): operand for value, operand in given.items()}
    ends = [(moved.get(end, end) if isinstance(end, Value) else end, target) for end, target in ends]
    if fuse_from is not None:
        operations = _fuse(operations, inputs, given, [end for end, _ in ends], fuse_from)
    used = _last_uses(operations, inputs, given, [end for end, _ in ends])
    homes = dict(given)
    direct: dict[Value, int] = {}  # the first end that a result is: it is written there at once
    for end, target in ends:
        if isinstance(end, Value) and end not in given:
            direct.setdefault(end, target)
    for place, operation in enumerate(operations):
        result = Value(inputs + place)
        if result not in used or result in given:
            continue
        operands = [_home(plan, operand, homes, shape) for operand in operation.operands]
        # No result takes the row of an operand: loops over rows that overlap are not vectorised.
        homes[result] = direct[result] if result in direct else plan.scratch()
        plan.instruct(operation.code, homes[result], *operands)
        for operand in {x for x in operation.operands if isinstance(x, Value)}:
            if operand not in given and operand not in direct and used[operand] == place:
                plan.release(homes[operand])
    for end, target in ends:
        if (home := _home(plan, end, homes, shape)) != target:
            plan.instruct(machine.COPY, target, home)


def reached(operations: Sequence[Operation], inputs: int, *, stops: Iterable[Value], ends: Iterable[End]) -> set[Value]:
    """Return the inputs and the values among `stops` from which some ends are computed."""
    moved = aliases(operations, inputs)
    stops = {moved.get(value, value) for value in stops}
    operations = [_redirect(operation, moved) for operation in operations]
    resolved = [moved.get(end, end) if isinstance(end, Value) else end for end in ends]
    used = _last_uses(operations, inputs, stops, resolved)
    return {value for value in used if value < inputs or value in stops}


def aliases(operations: Sequence[Operation], inputs: int) -> dict[Value, Value]:
    """Return the value that each copy is a copy of."""
    moved: dict[Value, Value] = {}
    for place, operation in enumerate(operations):
        source = operation.operands[0]
        if operation.code == machine.COPY and isinstance(source, Value):
            moved[Value(inputs + place)] = moved.get(source, source)
    return moved


def _redirect(operation: Operation, moved: Mapping[Value, Value]) -> Operation:
    if not any(isinstance(x, Value) and x in moved for x in operation.operands):
        return operation
    operands = tuple(moved.get(x, x) if isinstance(x, Value) else x for x in operation.operands)
    return operation._replace(operands=operands)


def _fuse(
    operations: Sequence[Operation], inputs: int, given: Iterable[Value], ends: Sequence[End], first: int
) -> list[Operation]:
    """Return the operations with ``a b + c`` in place of a sum and a product that nothing else uses."""
    used = _last_uses(operations, inputs, given, ends)
    counts = Counter(end for end in ends if isinstance(end, Value))
    for place, operation in enumerate(operations):
        if Value(inputs + place) in used:
            counts.update(x for x in operation.operands if isinstance(x, Value))
    fused = list(operations)
    for place, operation in enumerate(operations):
        if operation.code != machine.ADD or place < first:
            continue
        for product, other in (operation.operands, operation.operands[::-1]):
            if not isinstance(product, Value) or product < inputs + first or counts[product] != 1 or product in given:
                continue
            factors = operations[product - inputs]
            if factors.code == machine.MULTIPLY:
                fused[place] = Operation(machine.MULTIPLY_ADD, (*factors.operands, other))
                break
    return fused


def _last_uses(
    operations: Sequence[Operation], inputs: int, given: Iterable[Value], ends: Iterable[End]
) -> dict[Value, int]:
    """Return the operation that uses each value last; what leads to no end is absent."""
    last = len(operations)
    used = {end: last for end in ends if isinstance(end, Value)}
    for place in range(last - 1, -1, -1):
        result = Value(inputs + place)
        if result in used and result not in given:
            for operand in operations[place].operands:
                if isinstance(operand, Value):
                    used.setdefault(operand, place)
    return used


def _home(plan: Plan, operand: End, homes: Mapping[Value, int], shape: torch.Size) -> int:
    """Return the number by which the plan knows what an operation takes."""
    return homes[operand] if isinstance(operand, Value) else plan.constant(operand, shape)

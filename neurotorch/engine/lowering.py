"""Writes a list of operations into a plan: what nothing needs is left out, and rows are shared out."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from neurotorch.engine import machine
from neurotorch.engine.differentiate import ReverseProgram
from neurotorch.engine.plan import Plan
from neurotorch.engine.program import Constant, Number, Operand, Operation, Program, Value

Text = Program | ReverseProgram


class Layout(NamedTuple):
    """The instructions of a text, on operands numbered from 0: what is given, the targets of its ends, and `others`.

    Attributes
    ----------
    others
        Numbers and constants; None is a row that one instruction hands to another.
    instructions
        ``(instruction, 5)``: code, out, a, b, c.
    """

    others: tuple[Number | Constant | None, ...]
    instructions: np.ndarray


def lower(
    plan: Plan,
    text: Text,
    constants: Sequence[Tensor],
    *,
    given: Mapping[Operand, int],
    ends: Sequence[tuple[Operand, int]],
    shape: torch.Size,
) -> None:
    """Write what it takes to compute some ends.

    Parameters
    ----------
    plan
        Where to write.
    text, constants
        The program and its tensors. In a reverse program, the sums of gradients take a product with them, rounded once.
    given
        Operands of the values that need not be computed.
    ends
        What is wanted, and the operand that takes it.
    shape
        ``(batch, neuron)``, for constants.
    """
    layout = _lay_out(text, tuple(given), tuple(end for end, _ in ends))
    operands = [*given.values(), *(target for _, target in ends)]
    for other in layout.others:
        if other is None:
            operands.append(plan.scratch())
        elif isinstance(other, Number):
            operands.append(plan.number(other.value))
        else:
            operands.append(plan.constant(constants[other.place], shape))
    plan.instruct(layout.instructions, operands)


@functools.lru_cache(maxsize=256)
def reached(text: Text, *, stops: frozenset[Operand], ends: tuple[Operand, ...]) -> frozenset[Operand]:
    """Return the inputs and the values among `stops` from which some ends are computed."""
    moved = aliases(text.operations, text.inputs)
    stops = frozenset(_moved(value, moved) for value in stops)
    operations = [_redirect(operation, moved) for operation in text.operations]
    used = _last_uses(operations, text.inputs, stops, [_moved(end, moved) for end in ends])
    return frozenset(value for value in used if value < text.inputs or value in stops)


@functools.lru_cache(maxsize=256)
def _lay_out(text: Text, given: tuple[Operand, ...], wanted: tuple[Operand, ...]) -> Layout:
    inputs, moved = text.inputs, aliases(text.operations, text.inputs)
    operations = [_redirect(operation, moved) for operation in text.operations]
    homes: dict[Operand, int] = {_moved(value, moved): k for k, value in enumerate(given)}
    there = set(homes)
    ends = [(_moved(end, moved), len(given) + k) for k, end in enumerate(wanted)]
    if isinstance(text, ReverseProgram):
        operations = _fuse(operations, inputs, there, [end for end, _ in ends], text.repeated)
    used = _last_uses(operations, inputs, there, [end for end, _ in ends])
    direct: dict[Operand, int] = {}  # the first end that a result is: it is written there at once
    for end, target in ends:
        if isinstance(end, Value) and end not in there:
            direct.setdefault(end, target)
    others: list[Number | Constant | None] = []
    free: list[int] = []
    instructions: list[tuple[int, ...]] = []

    def new(other: Number | Constant | None) -> int:
        others.append(other)
        return len(given) + len(wanted) + len(others) - 1

    def home(operand: Operand) -> int:
        if not isinstance(operand, Value) and operand not in homes:
            homes[operand] = new(operand)
        return homes[operand]

    for place, operation in enumerate(operations):
        result = Value(inputs + place)
        if result not in used or result in there:
            continue
        a, b, c = (*(operands := [home(x) for x in operation.operands]), *[operands[0]] * (3 - len(operands)))
        # No result takes the row of an operand: loops over rows that overlap are not vectorised.
        homes[result] = direct[result] if result in direct else free.pop() if free else new(None)
        instructions.append((operation.code, homes[result], a, b, c))
        ended = {x for x in operation.operands if isinstance(x, Value) and used[x] == place}
        free += [homes[x] for x in ended if x not in there and x not in direct]
    for end, target in ends:
        if (source := home(end)) != target:
            instructions.append((machine.COPY, target, source, source, source))
    return Layout(tuple(others), np.array(instructions, np.int64).reshape(-1, 5))


def _moved(operand: Operand, moved: Mapping[Value, Value]) -> Operand:
    return moved.get(operand, operand) if isinstance(operand, Value) else operand


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
    operands = tuple(_moved(x, moved) for x in operation.operands)
    return operation._replace(operands=operands)


def _fuse(
    operations: Sequence[Operation], inputs: int, given: Container[Operand], ends: Sequence[Operand], first: int
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
    operations: Sequence[Operation], inputs: int, given: Container[Operand], ends: Iterable[Operand]
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

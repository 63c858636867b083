"""Which Jacobian entries of a step are the same at every step, and their values.

Leaks, filters and sums are affine in what they take. Their derivatives need no call of autograd, and no memory over
time.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from neurotorch.engine import machine
from neurotorch.engine.tracing import Operation, Program, Value


class Fixed(NamedTuple):
    """A Jacobian entry that is the same at every step: a number, or a tensor that broadcasts to ``(batch, neuron)``."""

    value: float | Tensor


class Varying(NamedTuple):
    """A Jacobian entry that may change with time."""


Slope = Fixed | Varying | None
"""None: the entry vanishes."""

_Slopes = dict[int, Fixed | Varying]  # by input; absent where it vanishes


def slopes(program: Program, fields: int) -> list[list[Slope]]:
    """Return what is known of a step's Jacobian.

    One row for what is emitted and one per state field; one column per state field and one for the current. An entry is
    fixed where the output is an affine function of the input, with coefficients that depend on no other input.
    """
    known: list[_Slopes] = [{k: Fixed(1.0)} for k in range(program.inputs)]
    for operation in program.operations:
        known.append(_of(operation, known))
    ends = [known[end] if isinstance(end, Value) else {} for end in (program.outputs[0], *program.outputs[2:])]
    return [[end.get(k) for k in range(fields + 1)] for end in ends]


def _of(operation: Operation, known: list[_Slopes]) -> _Slopes:
    """Return the slopes of one operation's result."""
    if operation.detached:
        return {}
    code, operands = operation.code, operation.operands
    parts = [known[operand] if isinstance(operand, Value) else {} for operand in operands]
    if code == machine.COPY:
        return parts[0]
    if code == machine.ADD:
        return _sum(parts[0], parts[1])
    if code == machine.SUBTRACT:
        return _sum(parts[0], _scaled(parts[1], -1.0))
    if code == machine.NEGATE:
        return _scaled(parts[0], -1.0)
    if code == machine.MULTIPLY:
        for part, other in ((parts[0], operands[1]), (parts[1], operands[0])):
            if not isinstance(other, Value):
                return _scaled(part, other)
    if code == machine.DIVIDE and not isinstance(operands[1], Value):
        return _scaled(parts[0], 1 / operands[1])
    return {k: Varying() for part in parts for k in part}


def _sum(a: _Slopes, b: _Slopes) -> _Slopes:
    total = dict(a)
    for k, slope in b.items():
        other = total.get(k)
        if isinstance(slope, Fixed) and isinstance(other, Fixed):
            total[k] = Fixed(other.value + slope.value)
        else:
            total[k] = slope if other is None else Varying()
    return total


def _scaled(part: _Slopes, factor: float | Tensor) -> _Slopes:
    return {k: Fixed(slope.value * factor) if isinstance(slope, Fixed) else slope for k, slope in part.items()}

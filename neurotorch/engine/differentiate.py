"""The reverse program of a step, by reverse-mode differentiation of its list of operations."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from neurotorch.engine import machine
from neurotorch.engine.derivatives import RULES
from neurotorch.engine.program import Constant, Number, Operand, Operation, Program, Value
from neurotorch.engine.tracing import Symbol, Tape


@dataclass(frozen=True, eq=False)
class ReverseProgram:
    """What a step does in the reverse scan: its own operations once more, and those of the gradients.

    Attributes
    ----------
    operations
        As in `Program`; their results are numbered from `inputs` on.
    inputs
        How many values come in: those of the step; gradients of its outputs, as many as each was said to receive; the
        sums so far of the gradients of `learned`.
    repeated
        How many of the operations, the first ones, are those of the step.
    received
        The values that are gradients of the outputs, one tuple per output, and of the current.
    gradients
        The gradients of the step's inputs: values, or zero where there is nothing to compute.
    learned, totals, sums
        The numbers of the constants that carry a gradient, the values that are the sums of their gradients so far, and
        those with this step added.
    values
        The value of this program that each of the step's values is.
    """

    operations: tuple[Operation, ...]
    inputs: int
    repeated: int
    received: tuple[tuple[Operand, ...], ...]
    gradients: tuple[Operand, ...]
    learned: tuple[int, ...]
    totals: tuple[Operand, ...]
    sums: tuple[Operand, ...]
    values: tuple[Operand, ...]


@functools.lru_cache(maxsize=256)
def differentiate(program: Program, counts: tuple[int, ...]) -> ReverseProgram:
    """Return the reverse program of a step; its outputs, and after them its current, get `counts` gradients each."""
    learned = [Constant(k) for k, learned in enumerate(program.learned) if learned]
    tape = Tape(program.inputs + sum(counts) + len(learned))
    symbols, given = tape.inputs[: program.inputs], iter(tape.inputs[program.inputs :])
    received = [[next(given) for _ in range(count)] for count in counts]
    totals = list(given)
    for operation in program.operations:
        symbols.append(_repeat(tape, operation, symbols))
    repeated = len(tape.operations)
    gradients = _Gradients(learned)
    current = Value(len(program.outputs) - 2)  # it comes after the state's fields
    for end, parts in zip((*program.outputs, current), received, strict=True):
        for part in parts:
            gradients.add(end, part)
    for place in range(len(program.operations) - 1, -1, -1):
        result = Value(program.inputs + place)
        if (gradient := gradients.of(result)) is not None:
            _pass_back(program.operations[place], gradient, symbols, result, gradients)
    sums = [_plus(total, gradients.of(constant)) for total, constant in zip(totals, learned, strict=True)]
    ends = [gradients.of(Value(k)) for k in range(program.inputs)]
    return ReverseProgram(
        tuple(tape.operations),
        len(tape.inputs),
        repeated,
        tuple(tuple(part.value for part in parts) for parts in received),
        tuple(tape.operand(0.0 if end is None else end) for end in ends),
        tuple(constant.place for constant in learned),
        tuple(total.value for total in totals),
        tuple(total.value for total in sums),
        tuple(symbol.value for symbol in symbols),
    )


def _repeat(tape: Tape, operation: Operation, symbols: Sequence[Symbol]) -> Symbol:
    given = [_symbol(tape, operand, symbols) for operand in operation.operands]
    slope = None if operation.slope is None else _symbol(tape, operation.slope, symbols)
    return tape.add(operation.code, *given, detached=operation.detached, slope=slope)


def _symbol(tape: Tape, operand: Operand, symbols: Sequence[Symbol]) -> Symbol | float:
    """Return what rules calculate with."""
    if isinstance(operand, Number):
        return operand.value
    return Symbol(tape, operand) if isinstance(operand, Constant) else symbols[operand]


class _Gradients:
    """The gradients found so far, of values and of learned constants."""

    def __init__(self, learned: Sequence[Constant]) -> None:
        self._learned = set(learned)
        self._found: dict[Operand, Symbol] = {}

    def of(self, target: Operand) -> Symbol | None:
        """Return the gradient of a value or a constant, None if it is zero."""
        return self._found.get(target)

    def add(self, target: Operand, gradient: Symbol | None) -> None:
        """Add to the gradient of a target, if it is one that carries gradients."""
        if gradient is None or not (isinstance(target, Value) or target in self._learned):
            return
        before = self.of(target)
        self._found[target] = gradient if before is None else _plus(before, gradient)


def _pass_back(
    operation: Operation, gradient: Symbol, symbols: Sequence[Symbol], result: Value, gradients: _Gradients
) -> None:
    """Add what one operation passes on to the gradients of its operands."""
    tape = gradient.tape
    if operation.detached:
        return
    if operation.code == machine.SPIKE:
        assert operation.slope is not None
        gradients.add(operation.operands[0], gradient * _symbol(tape, operation.slope, symbols))
    elif (rule := RULES.get(operation.code)) is not None:
        given = [_symbol(tape, operand, symbols) for operand in operation.operands]
        for operand, part in zip(operation.operands, rule(gradient, symbols[result], *given), strict=True):
            gradients.add(operand, part)


def _plus(total: Symbol, part: Symbol | None) -> Symbol:
    """Return a sum, as a difference where `part` is negated."""
    if part is None:
        return total
    tape = part.tape
    place = part.value - len(tape.inputs) if isinstance(part.value, Value) else -1
    if place >= 0 and tape.operations[place].code == machine.NEGATE:
        (inner,) = tape.operations[place].operands
        return tape.add(machine.SUBTRACT, total, inner.value if isinstance(inner, Number) else Symbol(tape, inner))
    return total + part

"""The reverse program of a step, by reverse-mode differentiation of its list of operations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from neurotorch.engine import machine
from neurotorch.engine.derivatives import RULES
from neurotorch.engine.tracing import Operation, Program, Symbol, Tape, Value


class ReverseProgram(NamedTuple):
    """What a step does in the reverse scan: its own operations once more, and those of the gradients.

    Attributes
    ----------
    operations
        As in `Program`; their results are numbered from `inputs` on.
    inputs
        How many values come in: those of the step; gradients of its outputs, as many as each was said to receive; the
        sums so far of the gradients of `constants`.
    repeated
        How many of the operations, the first ones, are those of the step.
    received
        The values that are gradients of the outputs, one tuple per output, and of the current.
    gradients
        The gradients of the step's inputs: values, or numbers where there is nothing to compute.
    constants, totals, sums
        The constants that carry a gradient, the values that are the sums of their gradients so far, and those with this
        step added.
    values
        The value of this program that each of the step's values is.
    """

    operations: tuple[Operation, ...]
    inputs: int
    repeated: int
    received: tuple[tuple[Value, ...], ...]
    gradients: tuple[Value | float | Tensor, ...]
    constants: tuple[Tensor, ...]
    totals: tuple[Value, ...]
    sums: tuple[Value, ...]
    values: tuple[Value, ...]


def differentiate(program: Program, counts: tuple[int, ...]) -> ReverseProgram:
    """Return the reverse program of a step; its outputs, and after them its current, get `counts` gradients each."""
    if counts not in program.reverses:
        program.reverses[counts] = _differentiate(program, counts)
    return program.reverses[counts]


def _differentiate(program: Program, counts: Sequence[int]) -> ReverseProgram:
    constants = _learned_constants(program)
    tape = Tape(program.dtype, program.inputs + sum(counts) + len(constants))
    symbols, given = tape.inputs[: program.inputs], iter(tape.inputs[program.inputs :])
    received = [[next(given) for _ in range(count)] for count in counts]
    totals = list(given)
    for operation in program.operations:
        symbols.append(_repeat(tape, operation, symbols))
    repeated = len(tape.operations)
    gradients = _Gradients(constants)
    current = Value(len(program.outputs) - 2)  # it comes after the state's fields
    for end, parts in zip((*program.outputs, current), received, strict=True):
        for part in parts:
            gradients.add(end, part)
    for place in range(len(program.operations) - 1, -1, -1):
        result = Value(program.inputs + place)
        if (gradient := gradients.of(result)) is not None:
            _pass_back(program.operations[place], gradient, symbols, result, gradients)
    sums = [_plus(total, gradients.of(constant)) for total, constant in zip(totals, constants, strict=True)]
    ends = [gradients.of(Value(k)) for k in range(program.inputs)]
    return ReverseProgram(
        tuple(tape.operations),
        len(tape.inputs),
        repeated,
        tuple(tuple(part.value for part in parts) for parts in received),
        tuple(0.0 if end is None else end.value for end in ends),
        tuple(constants),
        tuple(total.value for total in totals),
        tuple(total.value for total in sums),
        tuple(symbol.value for symbol in symbols),
    )


def _learned_constants(program: Program) -> list[Tensor]:
    """Return the constants with a graph to the coefficients, each once."""
    operands = [operand for operation in program.operations for operand in (*operation.operands, operation.slope)]
    found = {id(x): x for x in (*operands, *program.outputs) if isinstance(x, Tensor) and x.requires_grad}
    return list(found.values())


def _repeat(tape: Tape, operation: Operation, symbols: Sequence[Symbol]) -> Symbol:
    given = _operands(operation.operands, symbols)
    (slope,) = _operands((operation.slope,), symbols)
    return tape.add(operation.code, *given, detached=operation.detached, slope=slope)


def _operands(operands: Iterable[Any], symbols: Sequence[Symbol]) -> list[Any]:
    return [symbols[operand] if isinstance(operand, Value) else operand for operand in operands]


class _Gradients:
    """The gradients found so far, of values and of learned constants."""

    def __init__(self, constants: Sequence[Tensor]) -> None:
        self._constants = {id(constant) for constant in constants}
        self._found: dict[tuple[bool, int], Symbol] = {}

    def of(self, target: Value | Tensor) -> Symbol | None:
        """Return the gradient of a value or a constant, None if it is zero."""
        return self._found.get(_key(target))

    def add(self, target: Any, gradient: Symbol | None) -> None:
        """Add to the gradient of a target, if it is one that carries gradients."""
        if gradient is None or not (isinstance(target, Value) or id(target) in self._constants):
            return
        before = self.of(target)
        self._found[_key(target)] = gradient if before is None else _plus(before, gradient)


def _key(target: Value | Tensor) -> tuple[bool, int]:
    return (True, int(target)) if isinstance(target, Value) else (False, id(target))


def _pass_back(
    operation: Operation, gradient: Symbol, symbols: Sequence[Symbol], result: Value, gradients: _Gradients
) -> None:
    """Add what one operation passes on to the gradients of its operands."""
    if operation.detached:
        return
    if operation.code == machine.SPIKE:
        (slope,) = _operands((operation.slope,), symbols)
        gradients.add(operation.operands[0], gradient * slope)
    elif (rule := RULES.get(operation.code)) is not None:
        passed = rule(gradient, symbols[result], *_operands(operation.operands, symbols))
        for operand, part in zip(operation.operands, passed, strict=True):
            gradients.add(operand, part)


def _plus(total: Symbol, part: Symbol | None) -> Symbol:
    """Return a sum, as a difference where `part` is negated."""
    if part is None:
        return total
    place = part.value - len(part.tape.inputs)
    if place >= 0 and part.tape.operations[place].code == machine.NEGATE:
        (inner,) = part.tape.operations[place].operands
        return part.tape.add(machine.SUBTRACT, total, Symbol(part.tape, inner) if isinstance(inner, Value) else inner)
    return total + part

"""Reads the text of a step: one call with symbols in place of tensors writes down what the step does.

A step is arithmetic and words of `neurotorch.core.vocabulary`, and pointwise, so that the call is a straight list of
operations, whatever models, options and instruments it went through. What depends on coefficients alone is computed by
torch on the spot, with a graph to the coefficients that are learned. The list is drawn up anew for every scan, which
takes a fraction of a millisecond: there is no older version of a step to go stale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor

from neurotorch.core.trees import leaves, rebuild
from neurotorch.core.vocabulary import Surrogate
from neurotorch.engine import machine
from neurotorch.engine.circuit import Population


class OutsideVocabularyError(TypeError):
    """A step does what the vocabulary has no word for."""


class Value(int):
    """The number of a value: inputs come first, then the results of the operations."""


class Operation(NamedTuple):
    """One elementwise operation.

    Attributes
    ----------
    code
        One of `neurotorch.engine.machine`.
    operands
        What it takes: earlier values by number, constants.
    detached
        Whether no gradient flows through it.
    slope
        Of a spike: the value that stands in for its derivative.
    """

    code: int
    operands: tuple[Value | float | Tensor, ...]
    detached: bool = False
    slope: Value | float | Tensor | None = None


class Program(NamedTuple):
    """What a step does.

    Attributes
    ----------
    inputs
        How many values come in: the state's fields, the current, the drives.
    operations
        In order; their results are the values numbered from `inputs` on.
    outputs
        Emitted, seen, and the state's fields afterwards: values by number, or constants.
    coefficients
        The leaves of the coefficients: what constants that carry a gradient were computed from.
    dtype
        Of the scan.
    reverses
        Its reverse programs, as far as `neurotorch.engine.differentiate` was asked for them.
    """

    inputs: int
    operations: tuple[Operation, ...]
    outputs: tuple[Any, ...]
    coefficients: tuple[Tensor, ...]
    dtype: torch.dtype
    reverses: dict[tuple[int, ...], Any]


def trace(population: Population) -> Program:
    """Return the program of a population's step.

    Raises
    ------
    OutsideVocabularyError
        If the step leaves the vocabulary, changes the shape of its state, or branches on a value.
    """
    fields = len(leaves(population.state))
    tape = Tape(population.history.dtype, fields + 1 + len(population.drive))
    symbols: list[Any] = list(tape.inputs)
    state = rebuild(population.state, symbols[:fields])
    given = [leaf.detach().requires_grad_(leaf.requires_grad) for leaf in leaves(population.coefficients)]
    coefficients = rebuild(population.coefficients, given)
    try:
        emitted, seen, after = population.step(coefficients, state, symbols[fields], tuple(symbols[fields + 1 :]))
    except OutsideVocabularyError:
        raise
    except (TypeError, AttributeError, RuntimeError, ValueError) as error:
        raise OutsideVocabularyError(f"{type(error).__name__}: {error}") from error
    ends = [emitted, seen, *_ends(after)]
    if len(ends) != fields + 2:
        raise OutsideVocabularyError("the state after the step has other fields than before")
    outputs = tuple(tape.operand(end) for end in ends)
    return Program(len(tape.inputs), tuple(tape.operations), outputs, tuple(given), tape.dtype, {})


def _ends(tree: Any) -> list[Any]:
    if isinstance(tree, tuple):
        return [end for branch in tree for end in _ends(branch)]
    return [tree] if isinstance(tree, Symbol | Tensor) else []


class Tape:
    """The operations so far, and a symbol for each of the values that come in."""

    def __init__(self, dtype: torch.dtype, inputs: int) -> None:
        self.dtype = dtype
        self.inputs = [Symbol(self, Value(k)) for k in range(inputs)]
        self.operations: list[Operation] = []
        self._known: dict[Any, Symbol] = {}

    def add(self, code: int, *operands: Any, detached: bool = False, slope: Any = None) -> Symbol:
        """Write an operation down, unless it is there; return the symbol of its result."""
        given = tuple(self.operand(operand) for operand in operands)
        steep = None if slope is None else self.operand(slope)
        key = (code, detached, *(id(x) if isinstance(x, Tensor) else (type(x), x) for x in (*given, steep)))
        if key not in self._known:
            self.operations.append(Operation(code, given, detached, steep))  # keeps its tensors alive, and so their ids
            self._known[key] = Symbol(self, Value(len(self.inputs) + len(self.operations) - 1))
        return self._known[key]

    def operand(self, value: Any) -> Value | float | Tensor:
        """Return what an operation notes of a value, a number or a constant."""
        if isinstance(value, Symbol):
            return value.value
        if isinstance(value, bool | int | float):
            return float(value)
        if isinstance(value, Tensor):
            if value.dim() > 2:
                raise OutsideVocabularyError(f"a constant of shape {tuple(value.shape)} is not pointwise")
            return value
        raise OutsideVocabularyError(f"a {type(value).__name__} is neither a number nor a tensor")


def _method(code: int, *, reflected: bool = False) -> Callable[[Symbol, Any], Symbol]:
    def method(self: Symbol, other: Any) -> Symbol:
        return self.tape.add(code, other, self) if reflected else self.tape.add(code, self, other)

    return method


class Symbol:
    """Stands for a row of one step. It takes arithmetic, comparisons and the words, and refuses everything else."""

    __hash__ = object.__hash__

    def __init__(self, tape: Tape, value: Value) -> None:
        self.tape, self.value = tape, value

    __add__, __radd__ = _method(machine.ADD), _method(machine.ADD, reflected=True)
    __sub__, __rsub__ = _method(machine.SUBTRACT), _method(machine.SUBTRACT, reflected=True)
    __mul__, __rmul__ = _method(machine.MULTIPLY), _method(machine.MULTIPLY, reflected=True)
    __truediv__, __rtruediv__ = _method(machine.DIVIDE), _method(machine.DIVIDE, reflected=True)
    __gt__, __lt__ = _method(machine.GREATER), _method(machine.GREATER, reflected=True)
    __ge__, __le__ = _method(machine.GREATER_EQUAL), _method(machine.GREATER_EQUAL, reflected=True)
    __eq__ = _method(machine.EQUAL)  # type: ignore[assignment]
    __and__, __or__ = _method(machine.BOTH), _method(machine.EITHER)
    __rpow__ = _method(machine.POWER, reflected=True)

    def __pow__(self, exponent: Any) -> Symbol:
        if isinstance(exponent, int | float) and exponent == 2:
            return self.tape.add(machine.MULTIPLY, self, self)
        return self.tape.add(machine.POWER, self, exponent)

    def __ne__(self, other: object) -> Symbol:  # type: ignore[override]
        return self.tape.add(machine.NOT, self.tape.add(machine.EQUAL, self, other))

    def __invert__(self) -> Symbol:
        return self.tape.add(machine.NOT, self)

    def __neg__(self) -> Symbol:
        return self.tape.add(machine.NEGATE, self)

    def __abs__(self) -> Symbol:
        return self.tape.add(machine.ABSOLUTE, self)

    def __bool__(self) -> NoReturn:
        raise OutsideVocabularyError("it branches on a value: use where(condition, x, y)")

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the scan; what compares is 1 and 0 in it."""
        return self.tape.dtype

    def to(self, dtype: torch.dtype) -> Symbol:
        """Return the symbol, of the one dtype there is."""
        if dtype != self.tape.dtype:
            raise OutsideVocabularyError(f"it casts to {dtype}")
        return self

    def spike(self, surrogate: Surrogate) -> Symbol:
        """Return 1 where the symbol is above zero, else 0, with the derivative of `surrogate`."""
        return self.tape.add(machine.SPIKE, self, slope=surrogate.derivative(self))  # type: ignore[arg-type]

    def detach(self) -> Symbol:
        """Return the same numbers, through which no gradient flows."""
        return self.tape.add(machine.COPY, self, detached=True)

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Sequence[Any], arguments: Sequence[Any] = (), keywords: dict[str, Any] | None = None
    ) -> Symbol:
        del types
        name = getattr(function, "__name__", str(function))
        tape = next(argument.tape for argument in arguments if isinstance(argument, Symbol))
        code = _WORDS.get(name)
        if code is None or keywords:
            raise OutsideVocabularyError(f"the vocabulary has no word for `{name}`")
        if name in _REFLECTED:
            arguments = arguments[::-1]
        return tape.add(code, *arguments)


_WORDS = {
    "exp": machine.EXP,
    "log": machine.LOG,
    "tanh": machine.TANH,
    "sigmoid": machine.SIGMOID,
    "softplus": machine.SOFTPLUS,
    "relu": machine.RELU,
    "where": machine.WHERE,
    "minimum": machine.MINIMUM,
    "maximum": machine.MAXIMUM,
    # A tensor meets a symbol: the tensor's operator.
    "add": machine.ADD,
    "sub": machine.SUBTRACT,
    "mul": machine.MULTIPLY,
    "div": machine.DIVIDE,
    "pow": machine.POWER,
    "gt": machine.GREATER,
    "lt": machine.GREATER,
    "ge": machine.GREATER_EQUAL,
    "le": machine.GREATER_EQUAL,
    "eq": machine.EQUAL,
}
_REFLECTED = {"lt", "le"}

"""Reads the text of a step: one call with symbols in place of tensors writes down what the step does.

A step is arithmetic and words of `neurotorch.core.vocabulary`, and pointwise, so that the call is a straight list of
operations, whatever models, options and instruments it went through. What depends on coefficients alone is computed by
torch on the spot, with a graph to the coefficients that are learned. The list is drawn up anew for every scan, which
takes a tenth of a millisecond: there is no older version of a step to go stale. What follows from the list alone (its
derivative, its layout) is kept under the list itself, in which tensors are known by number: it holds for every step
that does the same, whatever its name and the numbers in its tensors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

from neurotorch.core.trees import leaves, rebuild
from neurotorch.core.vocabulary import Surrogate
from neurotorch.engine import machine
from neurotorch.engine.circuit import Population
from neurotorch.engine.program import Constant, Number, Operand, Operation, Program, Traced, Value


class OutsideVocabularyError(TypeError):
    """A step does what the vocabulary has no word for."""


_program = functools.lru_cache(maxsize=256)(Program)


def trace(population: Population) -> Traced:
    """Return the program of a population's step, and its tensors.

    Raises
    ------
    OutsideVocabularyError
        If the step leaves the vocabulary, changes the shape of its state, or branches on a value.
    """
    fields = len(leaves(population.state))
    tape = Tape(fields + 1 + len(population.drive), population.history.dtype)
    symbols: list[Any] = list(tape.inputs)
    state = rebuild(population.state, symbols[:fields])
    given = [leaf.detach().requires_grad_(leaf.requires_grad) for leaf in leaves(population.coefficients)]
    coefficients = rebuild(population.coefficients, given)
    tape.watched = True
    try:
        with torch.enable_grad():
            emitted, seen, after = population.step(coefficients, state, symbols[fields], tuple(symbols[fields + 1 :]))
    except OutsideVocabularyError:
        raise
    except (TypeError, AttributeError, RuntimeError, ValueError) as error:
        raise OutsideVocabularyError(f"{type(error).__name__}: {error}") from error
    ends = [emitted, seen, *_ends(after)]
    if len(ends) != fields + 2:
        raise OutsideVocabularyError("the state after the step has other fields than before")
    outputs = tuple(tape.operand(end) for end in ends)
    learned = tuple(constant.requires_grad for constant in tape.constants)
    program = _program(len(tape.inputs), tuple(tape.operations), outputs, learned)
    return Traced(program, tuple(tape.constants), tuple(given))


def _ends(tree: Any) -> list[Any]:
    if isinstance(tree, tuple):
        return [end for branch in tree for end in _ends(branch)]
    return [tree] if isinstance(tree, Symbol | Tensor) else []


class Tape:
    """The operations so far, and a symbol for each of the values that come in.

    While it is `watched`, an operation without a gradient is refused: within an `autograd.Function`, whose derivative
    is not that of what it does, or within `torch.no_grad()`.
    """

    def __init__(self, inputs: int, dtype: torch.dtype | None = None) -> None:
        self.dtype, self.watched = dtype, False
        self.inputs = [Symbol(self, Value(k)) for k in range(inputs)]
        self.operations: list[Operation] = []
        self.constants: list[Tensor] = []
        self._known: dict[Operation, Symbol] = {}
        self._places: dict[int, Constant] = {}  # by the ids of the constants, which are kept alive

    def add(self, code: int, *operands: Any, detached: bool = False, slope: Any = None) -> Symbol:
        """Write an operation down, unless it is there; return the symbol of its result."""
        if self.watched and not torch.is_grad_enabled():
            raise OutsideVocabularyError(
                "it computes within an autograd.Function of its own, or within torch.no_grad()"
            )
        given = tuple(self.operand(operand) for operand in operands)
        operation = Operation(code, given, detached, None if slope is None else self.operand(slope))
        if operation not in self._known:
            self.operations.append(operation)
            self._known[operation] = Symbol(self, Value(len(self.inputs) + len(self.operations) - 1))
        return self._known[operation]

    def operand(self, value: Any) -> Operand:
        """Return what an operation notes of a symbol, a number or a constant."""
        if isinstance(value, Symbol):
            return value.value
        if isinstance(value, bool | int | float):
            return Number(float(value), repr(float(value)))
        if isinstance(value, Tensor):
            if value.dim() > 2:
                raise OutsideVocabularyError(f"a constant of shape {tuple(value.shape)} is not pointwise")
            if id(value) not in self._places:
                self._places[id(value)] = Constant(len(self.constants))
                self.constants.append(value)
            return self._places[id(value)]
        raise OutsideVocabularyError(f"a {type(value).__name__} is neither a number nor a tensor")


def _method(code: int, *, reflected: bool = False) -> Callable[[Symbol, Any], Symbol]:
    def method(self: Symbol, other: Any) -> Symbol:
        return self.tape.add(code, other, self) if reflected else self.tape.add(code, self, other)

    return method


class Symbol:
    """Stands for a row of one step, or for a constant where a program is differentiated.

    It takes arithmetic, comparisons and the words, and refuses everything else.
    """

    __hash__ = object.__hash__

    def __init__(self, tape: Tape, value: Value | Constant) -> None:
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
    def dtype(self) -> torch.dtype | None:
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

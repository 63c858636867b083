"""What a step does, as a list of operations that names tensors by number only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


class Value(int):
    """The number of a value: inputs come first, then the results of the operations."""


class Number(NamedTuple):
    """A number; `text` tells -0 from 0."""

    value: float
    text: str


class Constant(NamedTuple):
    """The place of a tensor that was computed from coefficients alone."""

    place: int


Operand = Value | Number | Constant


class Operation(NamedTuple):
    """One elementwise operation.

    Attributes
    ----------
    code
        One of `neurotorch.engine.machine`.
    operands
        What it takes.
    detached
        Whether no gradient flows through it.
    slope
        Of a spike: what stands in for its derivative.
    """

    code: int
    operands: tuple[Operand, ...]
    detached: bool = False
    slope: Operand | None = None


@dataclass(frozen=True, eq=False)
class Program:
    """What a step does. There is one object for each list of operations.

    Attributes
    ----------
    inputs
        How many values come in: the state's fields, the current, the drives.
    operations
        In order; their results are the values numbered from `inputs` on.
    outputs
        Emitted, seen, and the state's fields afterwards.
    learned
        Of every constant, whether it carries a gradient.
    """

    inputs: int
    operations: tuple[Operation, ...]
    outputs: tuple[Operand, ...]
    learned: tuple[bool, ...]


class Traced(NamedTuple):
    """The program of a population's step, and its tensors.

    Attributes
    ----------
    program
        Without tensors.
    constants
        Those that were computed from coefficients alone, with a graph to what is learned.
    coefficients
        The leaves of that graph.
    """

    program: Program
    constants: tuple[Tensor, ...]
    coefficients: tuple[Tensor, ...]

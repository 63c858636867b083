"""The tables that `neurotorch.engine.machine` runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

CHUNK = 512
"""Elements of a row that instructions work on at a time; from 128 to 4096 the time of a step changes little."""


class _Unit(NamedTuple):
    """One population's part of a step: the ranges of its rows in the tables."""

    elements: int
    operands: tuple[int, int]
    loads: tuple[int, int]
    links: tuple[int, int]
    instructions: tuple[int, int]


class Plan:
    """Collects what every step of a scan does, unit after unit, and runs it.

    An *operand* is a row ``(batch, neuron)`` that may change with time; it is known by its number. Operands that
    instructions of a unit use must be made within that unit. Tensors are read at their addresses and kept alive by the
    plan.
    """

    def __init__(self, steps: int, like: Tensor) -> None:
        self.steps, self.like = steps, like
        self._operands: list[tuple[int, int, int, int, int]] = []  # address, per step, shift, wrap, per element
        self._loads: list[tuple[int, ...]] = []  # operand, address, strides of time, batch and neuron, batch, neurons
        self._links: list[tuple[int, ...]] = []  # source, target, address of weight (pre, post), pre, post, batch, all?
        self._instructions: list[tuple[int, int, int, int, int]] = []  # code, out, a, b, c
        self._units: list[_Unit] = []
        self._kept: list[Tensor] = []
        self._numbers: dict[str, int] = {}
        self._free: list[int] = []
        self._starts = (0, 0, 0, 0)
        self._largest_row, self._largest_product = 1, 1

    def keep(self, tensor: Tensor) -> Tensor:
        """Keep a tensor alive until the plan has run."""
        self._kept.append(tensor)
        return tensor

    def sequence(self, rows: Tensor, *, shift: int = 0, alternate: bool = False) -> int:
        """Return an operand that is row ``t + shift`` of contiguous `rows` at step `t`; modulo 2 if `alternate`."""
        self.keep(rows)
        return self._operand(rows.data_ptr(), rows[0].numel(), shift, int(alternate), 1)

    def row(self, tensor: Tensor) -> int:
        """Return an operand that is the contiguous `tensor` at every step."""
        self.keep(tensor)
        return self._operand(tensor.data_ptr(), 0, 0, 0, 1)

    def number(self, value: float) -> int:
        """Return an operand that is one number everywhere."""
        key = repr(value)  # tells -0 from 0, and nan from nothing
        if key not in self._numbers:
            full = self.keep(self.like.new_full((CHUNK,), value))
            self._numbers[key] = self._operand(full.data_ptr(), 0, 0, 0, 0)
        return self._numbers[key]

    def constant(self, value: float | Tensor, shape: torch.Size) -> int:
        """Return an operand that is `value`, a number or a tensor that broadcasts against `shape`, at every step."""
        if isinstance(value, Tensor):
            if value.numel() > 1:
                return self.row(value.to(self.like.dtype).expand(shape).contiguous())
            value = value.item()
        return self.number(value)

    def scratch(self) -> int:
        """Return an operand for what one instruction hands to another."""
        if self._free:
            return self._free.pop()
        self.keep(full := self.like.new_empty(CHUNK))
        return self._operand(full.data_ptr(), 0, 0, 0, 0)

    def release(self, operand: int) -> None:
        """Take back an operand that `scratch` gave."""
        self._free.append(operand)

    def incoming(self, tensor: Tensor) -> int:
        """Return an operand that is row `t` of `tensor` ``(time, batch, neuron)``, which may have any strides."""
        if tensor.is_contiguous():
            return self.sequence(tensor)
        row = self.row(tensor.new_empty(tensor.shape[1:]))
        self.load(row, tensor)
        return row

    def load(self, operand: int, tensor: Tensor) -> None:
        """Begin the unit by writing row `t` of `tensor` ``(time, batch, neuron)`` into an operand."""
        self.keep(tensor)
        self._loads.append((operand, tensor.data_ptr(), *tensor.stride(), *tensor.shape[1:]))

    def add_product(self, source: int, target: int, weight: Tensor, batch: int) -> None:
        """After the loads, add ``source @ weight`` to operand `target`; `weight` is ``(pre, post)`` this way round."""
        weight = self.keep(weight.contiguous())
        finite = bool(torch.isfinite(weight.sum()))  # zero times a non-finite weight is not zero
        pre, post = weight.shape
        self._largest_row, self._largest_product = max(self._largest_row, pre), max(self._largest_product, batch * post)
        self._links.append((source, target, weight.data_ptr(), pre, post, batch, int(not finite)))

    def instruct(self, code: int, out: int, a: int, b: int | None = None, c: int | None = None) -> int:
        """Add an instruction; return `out`. What `code` does not take is left out."""
        self._instructions.append((code, out, a, a if b is None else b, a if c is None else c))
        return out

    def end_unit(self, count: int) -> None:
        """End the unit in hand, whose rows have `count` elements; what comes next belongs to another."""
        ends = (len(self._operands), len(self._loads), len(self._links), len(self._instructions))
        self._units.append(_Unit(count, *zip(self._starts, ends, strict=True)))
        self._starts = ends
        self._numbers.clear()
        self._free.clear()

    def run(self, kernel: Callable[..., None], *, backwards: bool = False) -> None:
        """Execute all steps."""
        units = [(unit.elements, *(edge for part in unit[1:] for edge in part)) for unit in self._units]
        product = np.empty(self._largest_product, np.float32 if self.like.dtype == torch.float32 else np.float64)
        kernel(
            self.steps,
            int(backwards),
            _table(units, 9),
            _table(self._loads, 7),
            _table(self._links, 7),
            _table(self._instructions, 5),
            _table(self._operands, 5),
            CHUNK,
            np.empty(self._largest_row, np.int64),
            product,
        )

    def _operand(self, address: int, per_step: int, shift: int, alternate: int, per_element: int) -> int:
        self._operands.append((address, per_step, shift, alternate, per_element))
        return len(self._operands) - 1


def _table(rows: Sequence[tuple[int, ...]], columns: int) -> np.ndarray:
    return np.array(rows, np.int64).reshape(-1, columns)

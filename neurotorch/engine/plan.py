"""The tables that `neurotorch.engine.machine` runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from neurotorch.engine.masked_products import GROUP, ROWS
from neurotorch.engine.pattern import Stored
from neurotorch.engine.products import PANEL, TALLEST

CHUNK = 512
"""Elements of a row that instructions work on at a time; from 128 to 4096 the time of a step changes little."""


BLOCK = 256
"""Rows (steps times samples) that a gradient of weights is collected over: 512 columns of them fill half a megabyte."""


LARGE = 1 << 23
"""Bytes of a weight from which on single samples read it as it lies, where it lies in rows: it is read from memory at
every step, which takes as long as from panels, and those take its memory once more. (2048 neurons: even; 522: panels
take 0.85 of the time.)"""


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
        self._dtype = np.float32 if like.dtype == torch.float32 else np.float64
        self._operands: list[tuple[int, int, int, int, int]] = []  # address, per step, shift, mask, per element
        self._loads: list[tuple[int, ...]] = []  # operand, address, strides of time, batch and neuron, batch, neurons
        self._links: list[tuple[int, ...]] = []  # source, target, weight in rows, in panels, pre, post, batch, all?,
        # and of a sparse weight starts, others and values by target, and by source
        self._outers: list[tuple[int, ...]] = []  # activity, gradient, total, pre, post, batch, starts, others
        self._instructions = [np.zeros((0, 5), np.int64)]  # code, out, a, b, c
        self._units: list[_Unit] = []
        self._kept: list[Tensor] = []
        self._written = 0  # instructions so far
        self._starts = (0, 0, 0, 0)
        self._tables: list[np.ndarray] | None = None
        self._chunks: list[np.ndarray] = []
        self._indices, self._work = 1, 1  # numbers that the machine needs room for

    def keep(self, tensor: Tensor) -> Tensor:
        """Keep a tensor alive until the plan has run."""
        self._kept.append(tensor)
        return tensor

    def sequence(self, rows: Tensor, *, shift: int = 0, ring: bool = False) -> int:
        """Return an operand that is row ``t + shift`` of contiguous `rows` at step `t`.

        With `ring` it is that row modulo the number of rows, a power of two.
        """
        self.keep(rows)
        mask = len(rows) - 1 if ring else -1
        assert not ring or len(rows) & mask == 0
        return self._operand(rows.data_ptr(), rows.stride(0), shift, mask, 1)

    def row(self, tensor: Tensor) -> int:
        """Return an operand that is the contiguous `tensor` at every step."""
        self.keep(tensor)
        return self._operand(tensor.data_ptr(), 0, 0, -1, 1)

    def number(self, value: float) -> int:
        """Return an operand that is one number everywhere."""
        return self._short(np.full(CHUNK, value, self._dtype))

    def constant(self, value: Tensor, shape: torch.Size) -> int:
        """Return an operand that is `value`, which broadcasts against `shape`, at every step."""
        if value.numel() == 1:
            return self.number(value.item())
        return self.row(value.detach().to(self.like.dtype).expand(shape).contiguous())

    def scratch(self) -> int:
        """Return an operand for what one instruction hands to another."""
        return self._short(np.empty(CHUNK, self._dtype))

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

    def add_product(self, source: int, target: int, weight: Tensor, batch: int, *, sparse: bool) -> None:
        """After the loads, add ``source @ weight`` to operand `target`; `weight` is ``(pre, post)`` this way round.

        `sparse` says that much of the source may be zero.
        """
        finite = bool(torch.isfinite(weight.sum()))  # zero times a non-finite weight is not zero
        pre, post = weight.shape
        by_rows = sparse or (batch == 1 and weight.is_contiguous() and weight.nbytes > LARGE)
        rows = self.keep(weight.contiguous()).data_ptr() if by_rows else 0
        panels = self.keep(in_panels(weight)).data_ptr() if batch > 1 or not by_rows else 0
        self._indices = max(self._indices, pre)
        self._links.append((source, target, rows, panels, pre, post, batch, int(not finite), *[0] * 6))

    def add_outer(self, activity: int, gradient: int, total: Tensor, batch: int) -> None:
        """At the end of every period, add ``activity^T @ gradient`` over its steps to the contiguous (pre, post)."""
        pre, post = self.keep(total).shape
        count, width = period(self.steps, batch) * batch, PANEL // total.element_size()
        self._indices = max(self._indices, pre * (2 + count))
        self._work = max(self._work, count * -(-post // width) * width)
        self._outers.append((activity, gradient, total.data_ptr(), pre, post, batch, 0, 0))

    def add_masked_product(
        self, source: int, target: int, weight: Stored, batch: int, *, by_source: Stored | None = None
    ) -> None:
        """Do as `add_product` with a weight stored by target; `by_source` is the same where the source may be zero."""
        finite = bool(torch.isfinite(weight.values.sum()))
        stored = [0] * 6
        for k, each in enumerate((weight, by_source)):
            if each is not None:
                stored[3 * k : 3 * k + 3] = (self.keep(tensor).data_ptr() for tensor in each[:3])
        pre, post = weight.sources, len(weight.starts) - 1
        self._work = max(self._work, (pre + GROUP) * PANEL // weight.values.element_size())
        self._links.append((source, target, 0, 0, pre, post, batch, int(not finite), *stored))

    def add_masked_outer(self, activity: int, gradient: int, total: Stored, batch: int) -> None:
        """Do as `add_outer` for the entries of a weight stored by source (its targets are the columns of gradient)."""
        pre, post = len(total.starts) - 1, total.sources
        count = period(self.steps, batch) * batch
        self._indices = max(self._indices, pre * (2 + count))
        self._work = max(self._work, (pre + post) * max(4, min(ROWS, -(-count // 4) * 4)))
        starts, others, values = (self.keep(tensor).data_ptr() for tensor in total[:3])
        self._outers.append((activity, gradient, values, pre, post, batch, starts, others))

    def instruct(self, instructions: np.ndarray, operands: Sequence[int]) -> None:
        """Add instructions ``(instruction, 5)``: code, out, a, b, c, the latter as places in `operands`."""
        added = instructions.copy()
        added[:, 1:] = np.array(operands, np.int64)[added[:, 1:]]
        self._instructions.append(added)
        self._written += len(added)

    def end_unit(self, count: int) -> None:
        """End the unit in hand, whose rows have `count` elements; what comes next belongs to another."""
        ends = (len(self._operands), len(self._loads), len(self._links), self._written)
        self._units.append(_Unit(count, *zip(self._starts, ends, strict=True)))
        self._starts = ends

    def run(self, kernel: Callable[..., None], first: int, last: int, *, backwards: bool = False) -> None:
        """Execute the steps from `first` up to, not including, `last`."""
        if self._tables is None:
            units = [(unit.elements, *(edge for part in unit[1:] for edge in part)) for unit in self._units]
            self._tables = [
                _table(units, 9),
                _table(self._loads, 7),
                _table(self._links, 14),
                np.concatenate(self._instructions),
                _table(self._operands, 5),
                _table(self._outers, 8),
            ]
            edge = TALLEST * PANEL // self.like.element_size()
            sizes = ((self._indices, np.int32), (edge, self._dtype), (self._work, self._dtype))
            self._tables += [np.empty(size, dtype) for size, dtype in sizes]
        length = period(self.steps, self.like.shape[-2])
        kernel(self.steps, first, last, int(backwards), *self._tables[:6], length, CHUNK, *self._tables[6:])

    def _short(self, chunk: np.ndarray) -> int:
        self._chunks.append(chunk)
        return self._operand(chunk.ctypes.data, 0, 0, -1, 0)

    def _operand(self, address: int, per_step: int, shift: int, alternate: int, per_element: int) -> int:
        self._operands.append((address, per_step, shift, alternate, per_element))
        return len(self._operands) - 1


def period(steps: int, batch: int) -> int:
    """Return how many steps gradients of weights are collected over: a power of two, at least 2."""
    found = 2
    while 2 * found * batch <= BLOCK and found < steps:
        found *= 2
    return found


def in_panels(weight: Tensor) -> Tensor:
    """Return a matrix (pre, post) in panels (panel, pre, column), as `neurotorch.engine.products` reads it."""
    pre, post = weight.shape
    width = PANEL // weight.element_size()
    whole, rest = divmod(post, width)
    panels = weight.new_zeros(whole + (rest > 0), pre, width)
    panels[:whole] = weight[:, : whole * width].unflatten(1, (whole, width)).transpose(0, 1)
    if rest:
        panels[whole, :, :rest] = weight[:, whole * width :]
    return panels


def _table(rows: Sequence[tuple[int, ...]], columns: int) -> np.ndarray:
    return np.array(rows, np.int64).reshape(-1, columns)

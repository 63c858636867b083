"""The machine that runs a scan: a loop over time in which a circuit is a table of numbers.

A scan is, at every step and for every unit, three things: *loads* copy what comes from outside into rows, *links* add a
matrix product to a row, and *instructions* are elementwise arithmetic on rows. A row is `(batch, neuron)` flattened,
which a pointwise step cannot tell from a vector. The tables are written by `neurotorch.engine.plan`; the forward scan
of any model and the reverse scan of all of them run on these same few loops, so that they are compiled once and not
once per model.

`neurotorch.engine.kernel` compiles the text of this file as it stands, under numba, for float32 and for float64:
nothing here may import from the package. Without numba the text runs in plain Python, slowly.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

COPY, ADD, SUBTRACT, MULTIPLY, DIVIDE, MULTIPLY_ADD, POWER, NEGATE, ABSOLUTE = range(9)
EXP, LOG, TANH, SIGMOID, SOFTPLUS, RELU, WHERE, MINIMUM, MAXIMUM = range(9, 18)
GREATER, GREATER_EQUAL, EQUAL, BOTH, EITHER, NOT = range(18, 24)

GATHER, BATCH = 0.3, 16
"""A product reads only the rows of the weight whose activity is not zero, unless the batch has at least `BATCH` samples
and more than the share `GATHER` of the activity is not zero; then BLAS does it whole. Measured in float32: for 67 to
128 neurons and 2 to 8 samples gathering wins at every activity; for 522 neurons and 32 samples below a share of 0.4,
for 256 neurons and 128 samples below 0.28."""


def view(address, count, like):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201  numba compares signatures
    """Return `count` numbers at `address` as an array of the dtype of `like`; `kernel` gives its compiled meaning."""
    kind = ctypes.c_float if like.itemsize == 4 else ctypes.c_double
    return np.ctypeslib.as_array((kind * count).from_address(int(address)))


def place(operands: Any, number: int, step: int, first: int, size: int) -> int:
    """Return the address of an operand's row at `step`, from its element `first` on."""
    row = step + operands[number, 2]
    if operands[number, 3]:
        row &= 1
    return operands[number, 0] + size * (row * operands[number, 1] + first * operands[number, 4])


def load(out: Any, entry: Any, step: int, size: int) -> None:
    """Copy what comes from outside at `step` into a row; strides of zero broadcast."""
    source = entry[1] + size * step * entry[2]
    for sample in range(entry[5]):
        start = sample * entry[6]
        if entry[4] == 1:
            row = view(source + size * sample * entry[3], entry[6], out)
            for j in range(entry[6]):
                out[start + j] = row[j]
        elif entry[4] == 0:
            number = view(source + size * sample * entry[3], 1, out)[0]
            for j in range(entry[6]):
                out[start + j] = number
        else:
            for j in range(entry[6]):
                out[start + j] = view(source + size * (sample * entry[3] + j * entry[4]), 1, out)[0]


def gather(activity: Any, indices: Any, everything: int) -> int:
    """Write the indices of what is not zero, or all; return how many."""
    found = 0
    for i in range(activity.shape[0]):
        if everything or activity[i] != 0:
            indices[found] = i
            found += 1
    return found


def add_rows(out: Any, activity: Any, weight: Any, indices: Any, found: int) -> None:
    """Add ``activity[i] * weight[i]`` for the gathered rows `i`; four at a time, to read and write `out` less often."""
    k = 0
    while k + 4 <= found:
        i0, i1, i2, i3 = indices[k], indices[k + 1], indices[k + 2], indices[k + 3]
        a0, a1, a2, a3 = activity[i0], activity[i1], activity[i2], activity[i3]
        w0, w1, w2, w3 = weight[i0], weight[i1], weight[i2], weight[i3]
        for j in range(out.shape[0]):
            out[j] += a0 * w0[j] + a1 * w1[j] + a2 * w2[j] + a3 * w3[j]
        k += 4
    while k < found:
        i0 = indices[k]
        a0, w0 = activity[i0], weight[i0]
        for j in range(out.shape[0]):
            out[j] += a0 * w0[j]
        k += 1


def add_product(out: Any, activity: Any, weight: Any, batch: int, indices: Any, product: Any, everything: int) -> None:
    """Add ``activity @ weight`` to `out`; `weight` is (pre, post), whichever way activity runs."""
    pre, post = weight.shape
    found = 0
    if batch >= BATCH:
        for j in range(activity.shape[0]):
            if activity[j] != 0:
                found += 1
    if batch >= BATCH and found > GATHER * activity.shape[0]:
        total = product[: batch * post]
        np.dot(activity.reshape(batch, pre), weight, total.reshape(batch, post))
        for j in range(total.shape[0]):
            out[j] += total[j]
        return
    for sample in range(batch):
        row = activity[sample * pre : (sample + 1) * pre]
        found = gather(row, indices, everything)
        add_rows(out[sample * post : (sample + 1) * post], row, weight, indices, found)


def calculate(code: int, to: int, first: int, second: int, third: int, n: int, like: Any) -> None:
    """Execute one instruction on `n` elements at some addresses (addresses, because arrays are slow to hand over).

    Truth is 1 and 0, and words mean what torch means by them, non-finite values included.
    """
    out, a, b, c = view(to, n, like), view(first, n, like), view(second, n, like), view(third, n, like)
    if code == COPY:
        for j in range(n):
            out[j] = a[j]
    elif code == ADD:
        for j in range(n):
            out[j] = a[j] + b[j]
    elif code == SUBTRACT:
        for j in range(n):
            out[j] = a[j] - b[j]
    elif code == MULTIPLY:
        for j in range(n):
            out[j] = a[j] * b[j]
    elif code == MULTIPLY_ADD:
        for j in range(n):
            out[j] = a[j] * b[j] + c[j]
    elif code == DIVIDE:
        for j in range(n):
            out[j] = a[j] / b[j]
    elif code == NEGATE:
        for j in range(n):
            out[j] = -a[j]
    elif code == GREATER:
        for j in range(n):
            out[j] = a[j] > b[j]
    else:
        calculate_word(code, to, first, second, third, n, like)


def calculate_word(code: int, to: int, first: int, second: int, third: int, n: int, like: Any) -> None:
    """Execute one of the rarer instructions."""
    out, a, b, c = view(to, n, like), view(first, n, like), view(second, n, like), view(third, n, like)
    if code == SIGMOID:
        for j in range(n):
            out[j] = 1 / (1 + math.exp(-a[j]))
    elif code == TANH:
        for j in range(n):
            out[j] = math.tanh(a[j])
    elif code == EXP:
        for j in range(n):
            out[j] = math.exp(a[j])
    elif code == LOG:
        for j in range(n):
            out[j] = np.log(a[j])
    elif code == SOFTPLUS:
        for j in range(n):
            out[j] = a[j] if a[j] > 20 else math.log1p(math.exp(a[j]))
    elif code == RELU:
        for j in range(n):
            out[j] = 0 if a[j] <= 0 else a[j]
    elif code == WHERE:
        for j in range(n):
            out[j] = b[j] if a[j] != 0 else c[j]
    elif code == MINIMUM:
        for j in range(n):
            out[j] = a[j] if a[j] < b[j] or a[j] != a[j] else b[j]
    elif code == MAXIMUM:
        for j in range(n):
            out[j] = a[j] if a[j] > b[j] or a[j] != a[j] else b[j]
    elif code == GREATER_EQUAL:
        for j in range(n):
            out[j] = a[j] >= b[j]
    elif code == EQUAL:
        for j in range(n):
            out[j] = a[j] == b[j]
    elif code == BOTH:
        for j in range(n):
            out[j] = a[j] != 0 and b[j] != 0
    elif code == EITHER:
        for j in range(n):
            out[j] = a[j] != 0 or b[j] != 0
    elif code == NOT:
        for j in range(n):
            out[j] = a[j] == 0
    elif code == ABSOLUTE:
        for j in range(n):
            out[j] = abs(a[j])
    elif code == POWER:
        for j in range(n):
            out[j] = a[j] ** b[j]


def run(
    steps: int,
    backwards: int,
    units: Any,
    loads: Any,
    links: Any,
    instructions: Any,
    operands: Any,
    chunk: int,
    indices: Any,
    product: Any,
) -> None:
    """Run a plan; the columns of its tables are those of `neurotorch.engine.plan`.

    Instructions are executed on `chunk` elements of a row at a time, so that what they hand to each other stays in the
    cache.
    """
    size = product.itemsize
    addresses = np.zeros(operands.shape[0], np.int64)
    for index in range(steps):
        step = steps - 1 - index if backwards else index
        for number in range(units.shape[0]):
            unit = units[number]
            for k in range(unit[3], unit[4]):
                entry = loads[k]
                load(view(place(operands, entry[0], step, 0, size), entry[5] * entry[6], product), entry, step, size)
            for k in range(unit[5], unit[6]):
                link = links[k]
                pre, post, batch = link[3], link[4], link[5]
                add_product(
                    view(place(operands, link[1], step, 0, size), batch * post, product),
                    view(place(operands, link[0], step, 0, size), batch * pre, product),
                    view(link[2], pre * post, product).reshape(pre, post),
                    batch,
                    indices,
                    product,
                    link[6],
                )
            for first in range(0, unit[0], chunk):
                count = min(chunk, unit[0] - first)
                for k in range(unit[1], unit[2]):
                    addresses[k] = place(operands, k, step, first, size)
                for k in range(unit[7], unit[8]):
                    calculate(
                        instructions[k, 0],
                        addresses[instructions[k, 1]],
                        addresses[instructions[k, 2]],
                        addresses[instructions[k, 3]],
                        addresses[instructions[k, 4]],
                        count,
                        product,
                    )

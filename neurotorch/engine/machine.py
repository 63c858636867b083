"""The machine that runs a scan: a loop over time in which a circuit is a table of numbers.

A scan is, at every step and for every unit, three things: *loads* copy what comes from outside into rows, *links* add a
matrix product to a row, and *instructions* are elementwise arithmetic on rows. A row is `(batch, neuron)` flattened,
which a pointwise step cannot tell from a vector. Every few steps *outers* add the products of two blocks of rows to
gradients of weights. The tables are written by `neurotorch.engine.plan`; the forward scan
of any model and the reverse scan of all of them run on these same few loops, so that they are compiled once and not
once per model.

`neurotorch.engine.kernel` compiles the text of this file and of `neurotorch.engine.products` as it stands, under numba,
for float32 and for float64. Without numba the text runs in plain Python, slowly.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurotorch.engine.masked_products import add_masked_outer, add_masked_product
from neurotorch.engine.products import add_outer, add_product, view

COPY, ADD, SUBTRACT, MULTIPLY, DIVIDE, MULTIPLY_ADD, POWER, NEGATE, ABSOLUTE = range(9)
EXP, LOG, TANH, SIGMOID, SOFTPLUS, RELU, WHERE, MINIMUM, MAXIMUM = range(9, 18)
GREATER, GREATER_EQUAL, EQUAL, BOTH, EITHER, NOT, SPIKE, SIGN = range(18, 26)


def place(operands: Any, number: int, step: int, first: int, size: int) -> int:
    """Return the address of an operand's row at `step`, from its element `first` on."""
    row = (step + operands[number, 2]) & operands[number, 3]
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
    elif code == ABSOLUTE:
        for j in range(n):
            out[j] = abs(a[j])
    elif code == SPIKE:
        for j in range(n):
            out[j] = a[j] > 0
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
    elif code == GREATER:
        for j in range(n):
            out[j] = a[j] > b[j]
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
    elif code == SIGN:
        for j in range(n):
            out[j] = 1 if a[j] > 0 else -1 if a[j] < 0 else 0
    elif code == POWER:
        for j in range(n):
            out[j] = a[j] ** b[j]


def run(
    steps: int,
    first_step: int,
    last_step: int,
    backwards: int,
    units: Any,
    loads: Any,
    links: Any,
    instructions: Any,
    operands: Any,
    outers: Any,
    period: int,
    chunk: int,
    indices: Any,
    edge: Any,
    work: Any,
) -> None:
    """Run a plan of `steps` steps from `first_step` up to, not including, `last_step`.

    Its tables are those of `neurotorch.engine.plan`.

    Instructions are executed on `chunk` elements of a row at a time, so that what they hand to each other stays in the
    cache; gradients of weights on `period` steps at a time, for the same reason.
    """
    size = edge.itemsize
    addresses = np.zeros(operands.shape[0], np.int64)
    for index in range(last_step - first_step):
        step = last_step - 1 - index if backwards else first_step + index
        for number in range(units.shape[0]):
            unit = units[number]
            for k in range(unit[3], unit[4]):
                entry = loads[k]
                load(view(place(operands, entry[0], step, 0, size), entry[5] * entry[6], edge), entry, step, size)
            for k in range(unit[5], unit[6]):
                link = links[k]
                activity, batch = place(operands, link[0], step, 0, size), link[6]
                out = view(place(operands, link[1], step, 0, size), batch * link[5], edge)
                given = view(activity, batch * link[4], edge)
                if link[8]:
                    add_masked_product(out, given, activity, link, work, indices)
                    continue
                add_product(
                    out,
                    given,
                    activity,
                    batch,
                    link[2],
                    link[3],
                    indices,
                    edge,
                    link[7],
                    step,
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
                        edge,
                    )
        if step % period == 0:
            block = min(steps, step + period) - step
            for k in range(outers.shape[0]):
                outer = outers[k]
                activity = place(operands, outer[0], step, 0, size)
                gradient = place(operands, outer[1], step, 0, size)
                if outer[6]:
                    add_masked_outer(activity, gradient, block * outer[5], outer, indices, work)
                    continue
                add_outer(
                    outer[2],
                    activity,
                    gradient,
                    block * outer[5],
                    outer[3],
                    outer[4],
                    indices,
                    work,
                    edge,
                )

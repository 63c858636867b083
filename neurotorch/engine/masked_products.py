"""Products with a weight of which few entries exist: compressed rows on raw memory, beside the dense products.

A weight is stored by target: the entries ``starts[i] <= k < starts[i + 1]`` lead to target `i` from the sources
``others[k]``, with ``values[k]``. One sample gathers what every target needs; several are laid side by side, `PANEL`
bytes at a time, and added in registers. Activity that is mostly zero is scattered, by the same weight stored by source.

`neurotorch.engine.kernel` compiles the text of this file as it stands, as it does `neurotorch.engine.products`. Loops
are unrolled by hand, four sums at a time: the gather instructions that LLVM would take are slower (1.1 to 2.1 ns for
an entry where this takes 0.4 to 0.7), and one sum waits for itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurotorch.engine.products import PANEL, events, not_finite, tile_at, view

GROUP = 16
"""Targets whose samples are turned back at a time: a line of memory."""

SCATTER_ONE = 0.5
"""Share of non-zero activity up to which scattering beats gathering for one sample."""

SCATTER_MANY = 0.02
"""The same where samples lie side by side."""

EVENTS = 0.1
"""The same for gradients of weights."""

ROWS = 128
"""Rows (steps times samples) that a gradient is collected over at a time: those of 2048 neurons fill a megabyte."""


def turn(out: int, address: int, rows: int, row_step: int, columns: int, width: int, like: Any) -> None:
    """Write (rows, columns) as (columns, width), with zeros from `rows` up to `width`, a multiple of four."""
    size = like.itemsize
    for r in range(0, width, 4):
        there = min(4, rows - r)
        a = view(address + r * row_step, columns, like)
        b = view(address + (r + min(1, there - 1)) * row_step, columns, like)
        c = view(address + (r + min(2, there - 1)) * row_step, columns, like)
        d = view(address + (r + min(3, there - 1)) * row_step, columns, like)
        for j in range(columns):
            four = view(out + size * (j * width + r), 4, like)
            if there == 4:
                four[0], four[1], four[2], four[3] = a[j], b[j], c[j], d[j]
            else:
                four[0] = a[j] if there > 0 else 0
                four[1] = b[j] if there > 1 else 0
                four[2] = c[j] if there > 2 else 0
                four[3] = 0


def gather_one(out: Any, activity: Any, starts: Any, others: int, values: int, indices: Any) -> None:
    """Add ``W activity`` of one sample, with the weight stored by target."""
    for i in range(out.shape[0]):
        first, count = starts[i], starts[i + 1] - starts[i]
        value, other = view(values + out.itemsize * first, count, out), view(others + 4 * first, count, indices)
        s0, s1, s2, s3 = out.dtype.type(0), out.dtype.type(0), out.dtype.type(0), out.dtype.type(0)
        whole = count // 4 * 4
        for k in range(0, whole, 4):
            s0 += value[k] * activity[np.uint32(other[k])]
            s1 += value[k + 1] * activity[np.uint32(other[k + 1])]
            s2 += value[k + 2] * activity[np.uint32(other[k + 2])]
            s3 += value[k + 3] * activity[np.uint32(other[k + 3])]
        for k in range(whole, count):
            s0 += value[k] * activity[np.uint32(other[k])]
        out[i] += (s0 + s1) + (s2 + s3)


def scatter_one(out: Any, activity: Any, starts: Any, others: int, values: int, indices: Any) -> None:
    """Add ``W activity`` of one sample, with the weight stored by source."""
    for j in range(activity.shape[0]):
        factor = activity[j]
        if factor != 0:
            first, count = starts[j], starts[j + 1] - starts[j]
            value, other = view(values + out.itemsize * first, count, out), view(others + 4 * first, count, indices)
            for k in range(count):
                out[np.uint32(other[k])] += factor * value[k]


def gather_many(out: Any, address: int, batch: int, pre: int, starts: Any, others: int, values: int, work: Any) -> None:
    """Add ``W activity`` of `batch` samples, with the weight stored by target."""
    size, post = out.itemsize, out.shape[0] // batch
    width, panel = PANEL // size, work.ctypes.data
    found = work[pre * width : (pre + GROUP) * width]
    for first in range(0, batch, width):
        samples = min(width, batch - first)
        turn(panel, address + size * first * pre, samples, size * pre, pre, width, work)
        for target in range(0, post, GROUP):
            taken = min(GROUP, post - target)
            found[:] = 0
            for i in range(taken):
                start = starts[target + i]
                count = starts[target + i + 1] - start
                tile_at(found.ctypes.data + i * PANEL, values + size * start, others + 4 * start, panel, count, work)
            for b in range(samples):
                row = view(out.ctypes.data + size * ((first + b) * post + target), taken, out)
                for i in range(taken):
                    row[i] += found[i * width + b]


def share_of(activity: Any) -> float:
    """Return the share of activity that is not zero."""
    found = 0
    for j in range(activity.shape[0]):
        found += 1 if activity[j] != 0 else 0
    return found / activity.shape[0]


def add_masked_product(out: Any, activity: Any, address: int, entry: Any, work: Any, indices: Any) -> None:
    """Add ``W activity`` to `out`; `entry` is the row of a link in the table of `neurotorch.engine.plan`."""
    pre, post, batch, everything = entry[4], entry[5], entry[6], entry[7]
    if entry[11] and not everything and share_of(activity) <= (SCATTER_ONE if batch == 1 else SCATTER_MANY):
        starts = view(entry[11], pre + 1, indices)
        for b in range(batch):
            row, given = out[b * post : (b + 1) * post], activity[b * pre : (b + 1) * pre]
            scatter_one(row, given, starts, entry[12], entry[13], indices)
    elif batch == 1:
        gather_one(out, activity, view(entry[8], post + 1, indices), entry[9], entry[10], indices)
    else:
        gather_many(out, address, batch, pre, view(entry[8], post + 1, indices), entry[9], entry[10], work)


def add_masked_outer(activity: int, gradient: int, count: int, entry: Any, indices: Any, work: Any) -> None:
    """Add the entries of ``activity^T @ gradient`` that exist to those of `entry`, which are stored by source.

    `entry` is a row of the table of `neurotorch.engine.plan`; activity and gradient have `count` contiguous rows.
    """
    pre, post, size = entry[3], entry[4], work.itemsize
    starts = view(entry[6], pre + 1, indices)
    most = int(EVENTS * count * pre)
    if not not_finite(gradient, count, post, work) and events(activity, count, pre, most, indices, work):
        add_events(activity, gradient, count, entry, starts, indices, work)
        return
    for first in range(0, count, ROWS):
        rows = min(ROWS, count - first)
        width = (rows + 3) // 4 * 4
        sources = work.ctypes.data
        targets = sources + size * pre * width
        turn(sources, activity + size * first * pre, rows, size * pre, pre, width, work)
        turn(targets, gradient + size * first * post, rows, size * post, post, width, work)
        for j in range(pre):
            k0, n = starts[j], starts[j + 1] - starts[j]
            total, other = view(entry[2] + size * k0, n, work), view(entry[7] + 4 * k0, n, indices)
            mine = view(sources + size * j * width, width, work)
            for k in range(n):
                total[k] += dot(mine, view(targets + size * other[k] * width, width, work))


def dot(one: Any, other: Any) -> Any:
    """Return the sum of products; compiled, its terms may be added in any order."""
    total = one.dtype.type(0)
    for k in range(one.shape[0]):
        total += one[k] * other[k]
    return total


def add_events(activity: int, gradient: int, count: int, entry: Any, starts: Any, indices: Any, like: Any) -> None:
    """Do as `add_masked_outer` with the active rows of every source, which `events` wrote into `indices`."""
    pre, post, size = entry[3], entry[4], like.itemsize
    numbers, times = indices[pre : 2 * pre], indices[2 * pre :]
    for j in range(pre):
        k0, n, found = starts[j], starts[j + 1] - starts[j], numbers[j]
        total, other = view(entry[2] + size * k0, n, like), view(entry[7] + 4 * k0, n, indices)
        mine, given = times[j * count : j * count + found], activity + size * j
        whole = found // 4 * 4
        for place in range(0, whole, 4):
            t0, t1, t2, t3 = int(mine[place]), int(mine[place + 1]), int(mine[place + 2]), int(mine[place + 3])
            a0, a1 = view(given + size * t0 * pre, 1, like)[0], view(given + size * t1 * pre, 1, like)[0]
            a2, a3 = view(given + size * t2 * pre, 1, like)[0], view(given + size * t3 * pre, 1, like)[0]
            g0, g1 = view(gradient + size * t0 * post, post, like), view(gradient + size * t1 * post, post, like)
            g2, g3 = view(gradient + size * t2 * post, post, like), view(gradient + size * t3 * post, post, like)
            for k in range(n):
                i = np.uint32(other[k])
                total[k] += (a0 * g0[i] + a1 * g1[i]) + (a2 * g2[i] + a3 * g3[i])
        for place in range(whole, found):
            t0 = int(mine[place])
            a0, g0 = view(given + size * t0 * pre, 1, like)[0], view(gradient + size * t0 * post, post, like)
            for k in range(n):
                total[k] += a0 * g0[np.uint32(other[k])]

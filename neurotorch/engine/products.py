"""Products of activity and weights on raw memory, beside the instructions of `neurotorch.engine.machine`.

Two ways to multiply, and `add_product` and `add_outer` take the faster one by how much of the activity is zero: *rows*
reads only the rows of a matrix that meet activity, *tiles* is dense and keeps a few rows of the result in registers.
Addresses and strides are in bytes. A matrix in *panels* is stored as its columns, `PANEL` bytes of them at a time, the
last ones filled up with zeros.

`neurotorch.engine.kernel` compiles the text of this file as it stands, under numba: nothing here may import from the
package. Without numba the text runs in plain Python, slowly.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

PANEL = 128
"""Bytes of a panel's row: two vectors of 64 bytes."""

TALLEST = 8
"""Rows of the tallest tile: with panels of two vectors it fills the registers; `kernel` lowers it for smaller ones."""

GATHER = 0.2
"""Share of non-zero activity up to which rows beat tiles. Measured in float32 with vectors of 64 bytes: they are even
at 0.18 (256 neurons, 128 samples) to 0.23 (522 neurons, 4 samples)."""

GATHER_OUTER = 0.25
"""The same for gradients of weights, where the rows are those of a block of time: even at 0.21 to 0.30."""

STRIPE = 512
"""Columns that a gradient of weights is built of at a time, so that the block of time stays in the second cache."""


def view(address, count, like):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201  numba compares signatures
    """Return `count` numbers at `address` as an array of the dtype of `like`; `kernel` gives its compiled meaning."""
    kind = np.ctypeslib.as_ctypes_type(like.dtype)
    return np.ctypeslib.as_array((kind * int(count)).from_address(int(address)))


def tile(rows, out, out_row, a, a_row, a_next, panel, count, like):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Add ``a @ panel`` to `rows` rows at `out`, where `a` is (rows, count); what the compiled tiles mean."""
    width = PANEL // like.itemsize
    for row in range(rows):
        total = view(out + row * out_row, width, like)
        for k in range(count):
            total += view(a + row * a_row + k * a_next, 1, like)[0] * view(panel + k * PANEL, width, like)


def tile_1(out, out_row, a, a_row, a_next, panel, count, like):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Add to one row: the height of a tile is part of its compiled code."""
    tile(1, out, out_row, a, a_row, a_next, panel, count, like)


def tile_2(out, out_row, a, a_row, a_next, panel, count, like):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Add to two rows."""
    tile(2, out, out_row, a, a_row, a_next, panel, count, like)


def tile_4(out, out_row, a, a_row, a_next, panel, count, like):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Add to four rows."""
    tile(4, out, out_row, a, a_row, a_next, panel, count, like)


def tile_8(out, out_row, a, a_row, a_next, panel, count, like):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Add to eight rows."""
    tile(8, out, out_row, a, a_row, a_next, panel, count, like)


def tile_at(out, a, indices, panel, count, like):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Add ``a @ panel[indices]`` to the row at `out`, for `count` 32-bit indices; what the compiled tile means."""
    width = PANEL // like.itemsize
    total = view(out, width, like)
    for k in range(count):
        row = ctypes.c_int32.from_address(int(indices) + 4 * k).value
        total += view(a + k * like.itemsize, 1, like)[0] * view(panel + row * PANEL, width, like)


def add_tile(
    rows: int, out: int, out_row: int, a: int, a_row: int, a_next: int, panel: int, count: int, like: Any
) -> int:
    """Add ``a @ panel`` to as many of `rows` rows as the next tile takes; return how many."""
    if rows >= 8 and TALLEST >= 8:
        tile_8(out, out_row, a, a_row, a_next, panel, count, like)
        return 8
    if rows >= 4 and TALLEST >= 4:
        tile_4(out, out_row, a, a_row, a_next, panel, count, like)
        return 4
    if rows >= 2:
        tile_2(out, out_row, a, a_row, a_next, panel, count, like)
        return 2
    tile_1(out, out_row, a, a_row, a_next, panel, count, like)
    return 1


def add_tiles(
    out: int,
    rows: int,
    columns: int,
    a: int,
    a_row: int,
    a_next: int,
    panels: int,
    count: int,
    edge: Any,
    descending: int,
) -> None:
    """Add ``a @ b`` to the contiguous (rows, columns) at `out`, where `b`, (count, columns), is stored in panels.

    With `descending` it begins with the last panel: steps that take turns find in the cache what the step before read
    last, where a weight is a little larger than the cache and would otherwise find none of itself there.

    `edge` takes the tiles of the last columns where those do not fill a panel: ``TALLEST * PANEL`` bytes.
    """
    size = edge.itemsize
    width = PANEL // size
    last = (columns - 1) // width
    for number in range(last + 1):
        first = (last - number if descending else number) * width
        panel = panels + first // width * count * PANEL
        row = 0
        while row < rows:
            to = out + size * (row * columns + first)
            if first + width <= columns:
                row += add_tile(rows - row, to, size * columns, a + row * a_row, a_row, a_next, panel, count, edge)
                continue
            edge[:] = 0
            taken = add_tile(rows - row, edge.ctypes.data, PANEL, a + row * a_row, a_row, a_next, panel, count, edge)
            for k in range(taken):
                total = view(to + size * k * columns, columns - first, edge)
                for j in range(columns - first):
                    total[j] += edge[k * width + j]
            row += taken


def add_rows(out: Any, factors: int, factor_step: int, rows: int, row_step: int, indices: Any, found: int) -> None:
    """Add ``factor[i] * row[i]`` for the `found` indices `i`; four at a time, to read and write `out` less often."""
    n = out.shape[0]
    k = 0
    while k + 4 <= found:
        i0, i1, i2, i3 = int(indices[k]), int(indices[k + 1]), int(indices[k + 2]), int(indices[k + 3])
        a0, a1 = view(factors + i0 * factor_step, 1, out)[0], view(factors + i1 * factor_step, 1, out)[0]
        a2, a3 = view(factors + i2 * factor_step, 1, out)[0], view(factors + i3 * factor_step, 1, out)[0]
        r0, r1 = view(rows + i0 * row_step, n, out), view(rows + i1 * row_step, n, out)
        r2, r3 = view(rows + i2 * row_step, n, out), view(rows + i3 * row_step, n, out)
        for j in range(n):
            out[j] += a0 * r0[j] + a1 * r1[j] + a2 * r2[j] + a3 * r3[j]
        k += 4
    while k < found:
        i0 = int(indices[k])
        a0, r0 = view(factors + i0 * factor_step, 1, out)[0], view(rows + i0 * row_step, n, out)
        for j in range(n):
            out[j] += a0 * r0[j]
        k += 1


def gather(activity: Any, indices: Any, everything: int) -> int:
    """Write the indices of what is not zero, or all; return how many."""
    found = 0
    for i in range(activity.shape[0]):
        indices[found] = i
        found += 1 if everything or activity[i] != 0 else 0
    return found


def is_sparse(activity: Any) -> bool:
    """Return whether rows beat tiles."""
    found = 0
    for j in range(activity.shape[0]):
        found += 1 if activity[j] != 0 else 0
    return found <= GATHER * activity.shape[0]


def add_product(
    out: Any,
    activity: Any,
    address: int,
    batch: int,
    rows: int,
    panels: int,
    indices: Any,
    edge: Any,
    everything: int,
    step: int,
) -> None:
    """Add ``activity @ weight`` to `out`.

    `rows` and `panels` are the addresses of the weight (pre, post) in either way to store it, one of them may be 0.
    With `everything`, rows of the weight count that meet no activity, because zero times a non-finite number is not
    zero.
    """
    size = out.itemsize
    pre, post = activity.shape[0] // batch, out.shape[0] // batch
    if panels and (rows == 0 or everything or not is_sparse(activity)):
        add_tiles(out.ctypes.data, batch, post, address, size * pre, size, panels, pre, edge, step & 1)
        return
    for sample in range(batch):
        found = gather(activity[sample * pre : (sample + 1) * pre], indices, everything)
        add_rows(
            out[sample * post : (sample + 1) * post],
            address + size * sample * pre,
            size,
            rows,
            size * post,
            indices,
            found,
        )


def add_outer(
    total: int, activity: int, gradient: int, count: int, pre: int, post: int, indices: Any, work: Any, edge: Any
) -> None:
    """Add ``activity^T @ gradient`` to the contiguous (pre, post) at `total`; both have `count` contiguous rows."""
    if not_finite(gradient, count, post, work) or not add_sparse_outer(
        total, activity, gradient, count, pre, post, indices, edge
    ):
        pack(work, gradient, count, post)
        size = edge.itemsize
        add_tiles(total, pre, post, activity, size, size * pre, work.ctypes.data, count, edge, 0)


def add_sparse_outer(
    total: int, activity: int, gradient: int, count: int, pre: int, post: int, indices: Any, like: Any
) -> bool:
    """Do as `add_outer` by rows, for activity that is mostly zero; return False and do nothing for other activity."""
    size = like.itemsize
    if not events(activity, count, pre, int(GATHER_OUTER * count * pre), indices, like):
        return False
    numbers, times = indices[pre : 2 * pre], indices[2 * pre :]
    for first in range(0, post, STRIPE):
        width = min(STRIPE, post - first)
        for i in range(pre):
            if numbers[i]:
                add_rows(
                    view(total + size * (i * post + first), width, like),
                    activity + size * i,
                    size * pre,
                    gradient + size * first,
                    size * post,
                    times[i * count : (i + 1) * count],
                    numbers[i],
                )
    return True


def events(activity: int, count: int, pre: int, most: int, indices: Any, like: Any) -> bool:
    """Write how many of the `count` rows are active for every neuron, and which; return False if over `most` are.

    ``indices[pre : 2 * pre]`` are the numbers, and after those come `count` places for every neuron.
    """
    active, numbers, times = indices[:pre], indices[pre : 2 * pre], indices[2 * pre :]
    numbers[:] = 0
    all_found = 0
    for k in range(count):
        found = gather(view(activity + like.itemsize * k * pre, pre, like), active, 0)
        all_found += found
        if all_found > most:
            return False
        for place in range(found):
            i = int(active[place])
            times[i * count + numbers[i]] = k
            numbers[i] += 1
    return True


def not_finite(address: int, count: int, columns: int, work: Any) -> bool:
    """Return whether one of (count, columns) numbers is not finite: then zero activity does not make them vanish."""
    sums = work[:columns]
    sums[:] = 0
    for k in range(count):
        row = view(address + work.itemsize * k * columns, columns, work)
        for j in range(columns):
            sums[j] += 0 * row[j]
    found = 0
    for j in range(columns):
        found += 1 if sums[j] != 0 else 0
    return found > 0


def pack(panels: Any, address: int, rows: int, columns: int) -> None:
    """Store a contiguous (rows, columns) in panels."""
    size = panels.itemsize
    width = PANEL // size
    for first in range(0, columns, width):
        count = min(width, columns - first)
        for k in range(rows):
            row = view(address + size * (k * columns + first), count, panels)
            start = first * rows + k * width
            for j in range(count):
                panels[start + j] = row[j]
            for j in range(count, width):
                panels[start + j] = 0

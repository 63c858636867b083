"""What the text of `neurotorch.engine.products` cannot say in Python: memory at an address, and tiles in registers."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

HEIGHTS = (1, 2, 4, 8)
NAMES = ("view", "tile", "tile_at", *(f"tile_{rows}" for rows in HEIGHTS))
_VECTOR = 64  # bytes; LLVM takes two or four registers where they are narrower
_INDEX = 4  # bytes of an index
_SPLIT = 4  # sums that a tile of one row keeps, each of every fourth number: a single one would wait for itself


def teach(module: types.ModuleType, dtype: str) -> None:
    """Give a copy of `neurotorch.engine.products` the compiled meanings of `view` and the tiles."""
    from llvmlite import binding  # type: ignore[import-untyped]

    _teach_view(module.view)
    for rows in HEIGHTS:
        _teach_tile(getattr(module, f"tile_{rows}"), rows, module.PANEL // _VECTOR, dtype)
    _teach_tile_at(module.tile_at, module.PANEL // _VECTOR, dtype)
    if not binding.get_host_cpu_features().get("avx512f", False):
        module.__dict__["TALLEST"] = 2


def _teach_view(view: Callable[..., Any]) -> None:
    """Tell numba how to read numbers at an address. Signatures must agree, annotations included."""
    import numba
    from numba import types
    from numba.extending import intrinsic, overload

    @intrinsic
    def pointer(typing: Any, address: Any, like: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(like.dtype)(address, like), generate

    read: Any = pointer
    carray: Any = numba.carray  # type: ignore[attr-defined]

    def choose(address, count, like):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, ARG001
        return lambda address, count, like: carray(read(address, like), (count,))

    overload(view)(choose)


def _teach_tile(tile: Callable[..., Any], rows: int, vectors: int, dtype: str) -> None:
    """Tell numba how to add ``a @ panel`` to `rows` rows, all of them held in registers while `count` runs."""
    from numba import types
    from numba.extending import intrinsic, overload

    @intrinsic
    def multiply(typing, out, out_row, a, a_row, a_next, panel, count):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, ARG001
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
            _Tile(builder, rows, vectors, dtype).write(*arguments)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7), generate

    add: Any = multiply

    def choose(out, out_row, a, a_row, a_next, panel, count, like):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, ARG001
        def meaning(out, out_row, a, a_row, a_next, panel, count, like):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, ARG001
            add(out, out_row, a, a_row, a_next, panel, count)

        return meaning

    overload(tile, inline="never")(choose)


def _teach_tile_at(tile: Callable[..., Any], vectors: int, dtype: str) -> None:
    """Tell numba how to add ``a @ panel[indices]`` to a row that is held in registers while `count` runs."""
    from numba import types
    from numba.extending import intrinsic, overload

    @intrinsic
    def multiply(typing, out, a, indices, panel, count):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, ARG001
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
            out, a, indices, panel, count = arguments
            tile = _Tile(builder, 1, vectors, dtype, base=panel)
            tile.write(out, tile.nothing, a, tile.nothing, tile.number_size, indices, count)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5), generate

    add: Any = multiply

    def choose(out, a, indices, panel, count, like):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, ARG001
        def meaning(out, a, indices, panel, count, like):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, ARG001
            add(out, a, indices, panel, count)

        return meaning

    overload(tile, inline="never")(choose)


class _Tile:
    """Writes the loop of a tile: ``total[row][vector] += a[row, k] * panel[k][vector]`` for every `k`.

    With `base`, where a panel begins, the rows of the panel are those of 32-bit indices in place of its own.
    """

    def __init__(self, builder: Any, rows: int, vectors: int, dtype: str, *, base: Any = None) -> None:
        from llvmlite import ir

        self.ir, self.builder, self.rows, self.vectors = ir, builder, rows, vectors
        self.number = ir.FloatType() if dtype == "float32" else ir.DoubleType()
        self.size = 4 if dtype == "float32" else 8
        self.lanes = _VECTOR // self.size
        self.vector = ir.VectorType(self.number, self.lanes)
        self.whole = ir.IntType(64)
        self.base = base
        self.nothing, self.number_size = self._whole(0), self._whole(self.size)

    def write(self, out: Any, out_row: Any, a: Any, a_row: Any, a_next: Any, panel: Any, count: Any) -> None:
        """Append the code."""
        builder = self.builder
        places = [(row, vector) for row in range(self.rows) for vector in range(self.vectors)]
        zeros = [self.ir.Constant(self.vector, [0.0] * self.lanes)] * len(places)
        split = _SPLIT if self.rows == 1 else 1
        bulk = builder.sdiv(count, self._whole(split))
        a, panel, parts = self._loop(bulk, split, a, a_row, a_next, panel, zeros * split)
        totals = parts[: len(places)]
        if split > 1:
            rest = builder.srem(count, self._whole(split))
            *_, totals = self._loop(rest, 1, a, a_row, a_next, panel, totals)
            for first in range(len(places), len(parts), len(places)):
                others = parts[first : first + len(places)]
                totals = [builder.fadd(total, other) for total, other in zip(totals, others, strict=True)]
        for (row, vector), total in zip(places, totals, strict=True):
            start = builder.add(out, builder.mul(out_row, self._whole(row)))
            sum_ = builder.fadd(self._load(start, vector), total)
            builder.store(sum_, self._pointer(start, vector), align=self.size)

    def _loop(
        self, times: Any, split: int, a: Any, a_row: Any, a_next: Any, panel: Any, starts: list[Any]
    ) -> tuple[Any, Any, list[Any]]:
        """Append a loop of `times` rounds of `split` values of `k`; each value of a round has totals of its own."""
        builder = self.builder
        entry = builder.basic_block
        head, body, done = (builder.append_basic_block() for _ in range(3))
        builder.branch(head)
        builder.position_at_end(head)
        k, at, row_of_panel = (builder.phi(self.whole) for _ in range(3))
        totals = [builder.phi(self.vector) for _ in starts]
        phis = [k, at, row_of_panel, *totals]
        for phi, start in zip(phis, [self._whole(0), a, panel, *starts], strict=True):
            phi.add_incoming(start, entry)
        builder.cbranch(builder.icmp_signed("<", k, times), body, done)
        builder.position_at_end(body)
        sums: list[Any] = []
        place, values = at, row_of_panel
        for _ in range(split):
            panel_row = values if self.base is None else self._indexed(values)
            given = [self._load(panel_row, vector) for vector in range(self.vectors)]
            for row in range(self.rows):
                factor = self._broadcast(builder.add(place, builder.mul(a_row, self._whole(row))))
                sums += [self._multiply_add(factor, vector, totals[len(sums) + n]) for n, vector in enumerate(given)]
            place = builder.add(place, a_next)
            values = builder.add(values, self._whole(_VECTOR * self.vectors if self.base is None else _INDEX))
        for phi, new in zip(phis, [builder.add(k, self._whole(1)), place, values, *sums], strict=True):
            phi.add_incoming(new, body)
        builder.branch(head)
        builder.position_at_end(done)
        return at, row_of_panel, totals

    def _multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        return self.builder.fadd(self.builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))

    def _whole(self, value: int) -> Any:
        return self.ir.Constant(self.whole, value)

    def _pointer(self, address: Any, vector: int) -> Any:
        moved = self.builder.add(address, self._whole(_VECTOR * vector))
        return self.builder.inttoptr(moved, self.vector.as_pointer())

    def _indexed(self, address: Any) -> Any:
        """Return the address of the panel's row whose index stands at `address`."""
        builder, kind = self.builder, self.ir.IntType(8 * _INDEX)
        index = builder.load(builder.inttoptr(address, kind.as_pointer()), align=_INDEX)
        return builder.add(self.base, builder.mul(builder.zext(index, self.whole), self._whole(_VECTOR * self.vectors)))

    def _load(self, address: Any, vector: int) -> Any:
        return self.builder.load(self._pointer(address, vector), align=self.size)

    def _broadcast(self, address: Any) -> Any:
        """Return a vector of the number at `address`."""
        ir, builder = self.ir, self.builder
        number = builder.load(builder.inttoptr(address, self.number.as_pointer()), align=self.size)
        undefined, first = ir.Constant(self.vector, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        single = builder.insert_element(undefined, number, first)
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return builder.shuffle_vector(single, undefined, mask)

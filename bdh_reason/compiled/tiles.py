"""Small matrix products that stay in processor registers, for compiled code (numba, LLVM's plain vectors of 16 floats).

    C(r, c) (+)= sum over k of A(r, k) * B(k, c)        C(r, c) and B(k, c) are 16 floats side by side

in a block of rows and columns that is held in registers while k runs; A(r, k) is one number for all 16 lanes in `mix`, and 16 of its own, so that every lane
is a product of its own, in `each`. All operands lie in one workspace, float32; a place is an index into it, a stride counts floats. What becomes of a
finished block is said by `how`; in the last two, buffers of equal shape lie `gap` floats apart:

| how | C |
|---|---|
| SET, ADD, RELU | C = AB; C = C + AB; C = relu(AB) |
| GATE | C = relu(AB) * C |
| SPLIT | of r = C, x = C[gap], with g = AB: C = r x; C[2 gap] = g x where r > 0; C[3 gap] = g r |
| PAST | C = C + AB where C[-2 gap] > 0, else 0 |

Plain LLVM vectors are split where a processor's registers are narrower.
"""

# numba's extension layer is not annotated
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, njit, types
from numba.core import cgutils

from bdh_reason.compiled.lanes import LANES, LONG, VECTOR, WORD, Place, has

ROWS = 8 if has("avx512f") else 2  # of a block of `mix`: with two columns all sums fit the registers, and hide a multiply-add's latency
SET, ADD, RELU, GATE, SPLIT, PAST = range(6)
_intrinsic: Any = extending.intrinsic  # what it makes is known to compiled code only
_ZERO = ir.Constant(VECTOR, None)


def multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f32"), [a, b, c])


def sums(builder: Any, count: Any, size: int, term: Any) -> list[Any]:
    """`size` vectors, zero at first, after `count` (at least one) rounds of `term(k, sums)`."""
    before, loop, after = builder.block, builder.append_basic_block("products"), builder.append_basic_block("finish")
    builder.branch(loop)
    builder.position_at_end(loop)
    k, sums = builder.phi(LONG), [builder.phi(VECTOR) for _ in range(size)]
    grown = term(k, sums)
    following = builder.add(k, ir.Constant(LONG, 1))
    for phi, start, value in zip([k, *sums], [ir.Constant(LONG, 0), *[_ZERO] * size], [following, *grown]):
        phi.add_incoming(start, before)
        phi.add_incoming(value, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
    builder.position_at_end(after)
    return grown


def _finish(builder: Any, memory: Place, value: Any, place: Any, gap: Any, how: int) -> None:
    """What becomes of one vector of a finished block."""

    def positive(vector: Any, then: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", vector, _ZERO), then, _ZERO)

    if how == SPLIT:
        r, x = memory.vector(place), memory.vector(memory.at(place, (1, gap)))
        memory.store(builder.fmul(r, x), place)
        memory.store(positive(r, builder.fmul(value, x)), memory.at(place, (2, gap)))
        memory.store(builder.fmul(value, r), memory.at(place, (3, gap)))
        return
    if how in (RELU, GATE):
        value = positive(value, value)
    if how == GATE:
        value = builder.fmul(value, memory.vector(place))
    if how in (ADD, PAST):
        value = builder.fadd(value, memory.vector(place))
    if how == PAST:
        value = positive(memory.vector(memory.at(place, (-2, gap))), value)
    memory.store(value, place)


def _tile(rows: int, columns: int, broadcast: bool) -> Any:
    """A block's product: the workspace, then place, row stride and k stride of A; place, k and column stride of B; place, row, column stride of C; …"""

    @_intrinsic
    def tile(_: Any, w: Any, a: Any, ar: Any, ak: Any, b: Any, bk: Any, bc: Any, c: Any, cr: Any, cc: Any, count: Any, how: Any, gap: Any) -> Any:
        def lower(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
            array, a, ar, ak, b, bk, bc, c, cr, cc, count, how, gap = values
            memory = Place(context, builder, kinds.args[0], array)

            def term(k: Any, before: list[Any]) -> list[Any]:
                b_c = [memory.vector(memory.at(b, (column, bc), (k, bk))) for column in range(columns)]
                grown = []
                for row in range(rows):
                    read = memory.scalar if broadcast else memory.vector
                    a_r = read(memory.at(a, (row, ar), (k, ak)))
                    grown += [multiply_add(builder, a_r, b_c[column], before[row * columns + column]) for column in range(columns)]
                return grown

            found = sums(builder, count, rows * columns, term)
            done = builder.append_basic_block("done")
            switch = builder.switch(how, done)
            for kind in range(6):
                block = builder.append_basic_block()
                switch.add_case(ir.Constant(LONG, kind), block)
                builder.position_at_end(block)
                for index, value in enumerate(found):
                    _finish(builder, memory, value, memory.at(c, (index // columns, cr), (index % columns, cc)), gap, kind)
                builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(w, *[types.intp] * 12), lower

    return tile


_wide, _narrow = _tile(ROWS, 2, True), _tile(ROWS, 1, True)
_each14, _each24, _each34 = (_tile(rows, 4, False) for rows in (1, 2, 3))
_each11, _each22, _each33 = (_tile(rows, rows, False) for rows in (1, 2, 3))


@njit(cache=True, nogil=True)
def mix(w: Any, a: int, ar: int, ak: int, b: int, bk: int, c: int, cr: int, rows: int, vectors: int, count: int, how: int, gap: int) -> None:
    """C [rows, 16 vectors] from A [rows, count], one number for all lanes, and B [count, 16 vectors]; rows in ROWS."""
    for v in range(0, vectors - 1, 2):
        for r in range(0, rows, ROWS):
            _wide(w, a + r * ar, ar, ak, b + v * LANES, bk, LANES, c + r * cr + v * LANES, cr, LANES, count, how, gap)
    if vectors % 2:
        v = vectors - 1
        for r in range(0, rows, ROWS):
            _narrow(w, a + r * ar, ar, ak, b + v * LANES, bk, LANES, c + r * cr + v * LANES, cr, LANES, count, how, gap)


@njit(cache=True, nogil=True)
def each(w: Any, a: int, ar: int, ak: int, b: int, bk: int, bc: int, c: int, cr: int, cc: int, rows: int, columns: int, count: int, how: int, gap: int) -> None:
    """C [rows, columns, 16] from A [rows, count, 16] and B [count, columns, 16], lane by lane; columns in fours."""
    block = 3 if rows % 3 == 0 else 2 if rows % 2 == 0 else 1
    for r in range(0, rows, block):
        for s in range(0, columns, 4):
            if block == 3:
                _each34(w, a + r * ar, ar, ak, b + s * bc, bk, bc, c + r * cr + s * cc, cr, cc, count, how, gap)
            elif block == 2:
                _each24(w, a + r * ar, ar, ak, b + s * bc, bk, bc, c + r * cr + s * cc, cr, cc, count, how, gap)
            else:
                _each14(w, a + r * ar, ar, ak, b + s * bc, bk, bc, c + r * cr + s * cc, cr, cc, count, how, gap)


@njit(cache=True, nogil=True)
def pairs(w: Any, a: int, ar: int, ak: int, b: int, bk: int, bc: int, c: int, cr: int, cc: int, size: int, count: int, above: bool) -> None:
    """C [size, size, 16] from A [size, count, 16] and B [count, size, 16], lane by lane; with `above`, what lies below the diagonal may be left out."""
    block = 3 if size % 3 == 0 else 2 if size % 2 == 0 else 1
    for r in range(0, size, block):
        for s in range(r if above else 0, size, block):
            if block == 3:
                _each33(w, a + r * ar, ar, ak, b + s * bc, bk, bc, c + r * cr + s * cc, cr, cc, count, SET, 0)
            elif block == 2:
                _each22(w, a + r * ar, ar, ak, b + s * bc, bk, bc, c + r * cr + s * cc, cr, cc, count, SET, 0)
            else:
                _each11(w, a + r * ar, ar, ak, b + s * bc, bk, bc, c + r * cr + s * cc, cr, cc, count, SET, 0)


def _interleaved(builder: Any, rows: list[Any], distance: int) -> list[Any]:
    """One of four rounds of a transposition of 16 vectors: swaps blocks of `distance` lanes between vectors that are as far apart."""
    turned = list(rows)
    for row in range(LANES):
        if not row & distance:
            low, high = rows[row], rows[row + distance]
            for target, shift in ((row, 0), (row + distance, distance)):
                order = [(lane & ~distance) + shift + (LANES if lane & distance else 0) for lane in range(LANES)]
                turned[target] = builder.shuffle_vector(low, high, ir.Constant(ir.VectorType(WORD, LANES), order))
    return turned


@_intrinsic
def _turn(_: Any, w: Any, source: Any, stride: Any, target: Any, step: Any) -> Any:
    """Transposes a block of 16 x 16 floats."""

    def lower(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
        array, source, stride, target, step = values
        memory = Place(context, builder, kinds.args[0], array)
        rows = [memory.vector(memory.at(source, (row, stride))) for row in range(LANES)]
        for distance in (1, 2, 4, 8):
            rows = _interleaved(builder, rows, distance)
        for row, vector in enumerate(rows):
            memory.store(vector, memory.at(target, (row, step)))
        return context.get_dummy_value()

    return types.void(w, *[types.intp] * 4), lower


@njit(cache=True, nogil=True)
def transpose(w: Any, source: int, stride: int, rows: int, columns: int, target: int, step: int) -> None:
    """[rows, columns] with a stride between rows -> [columns, rows]; both sizes in sixteens."""
    for r in range(0, rows, LANES):
        for s in range(0, columns, LANES):
            _turn(w, source + r * stride + s, stride, target + s * step + r, step)

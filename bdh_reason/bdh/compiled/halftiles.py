"""The products of `tiles` with bf16 factors and float32 sums, for processors with AVX-512's bf16 dot products: twice the speed.

A word holds a pair of bf16 that are neighbours along the axis that a product sums over: rows 2i and 2i + 1 of [N, c] side by side for products over N,
or, as tokens, columns g and g + 16 of 32 for products over tokens. So A and B count in words; C is float32, or pairs in either reading:

| how | C |
|---|---|
| SET, ADD | float32: C = AB; C = C + AB |
| RELU, GATE | pairs of rows: C = relu(AB); C = relu(AB) * C |
| SPLIT | of r = C, x = C[gap] in pairs of rows, with g = AB: r x as tokens at T; g x where r > 0 at C[2 gap] and as tokens at T[t_gap]; g r at C[3 gap] |
"""

# numba's extension layer is not annotated
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, njit, types
from numba.core import cgutils

from bdh_reason.compiled.lanes import HALVES, LANES, LONG, VECTOR, Place, pack, unpack
from bdh_reason.compiled.tiles import ADD, GATE, RELU, ROWS, SET, SPLIT, multiply_add, sums

_intrinsic: Any = extending.intrinsic  # what it makes is known to compiled code only
_ZERO = ir.Constant(VECTOR, None)


def _dot(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """C + a b over both numbers of each pair."""
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(VECTOR, [VECTOR, HALVES, HALVES]), "llvm.x86.avx512bf16.dpbf16ps.512")
    return builder.call(function, [c, builder.bitcast(a, HALVES), builder.bitcast(b, HALVES)])


def _where(builder: Any, tested: Any, value: Any) -> Any:
    """The value where what is tested is positive, else 0."""
    return builder.select(builder.fcmp_ordered(">", tested, _ZERO), value, _ZERO)


def _finish(builder: Any, memory: Place, block: dict[tuple[int, int], Any], place: Any, gap: Any, tokens: Any, t_row: Any, t_gap: Any, how: int) -> None:
    """What becomes of rows r and r + 1 of a finished block, one vector or two wide; `place` and `tokens` have one entry a column, a row."""
    columns = range(len(place))
    if how in (RELU, GATE):
        for column in columns:
            value = [_where(builder, block[row, column], block[row, column]) for row in (0, 1)]
            if how == GATE:
                value = [builder.fmul(one, x) for one, x in zip(value, unpack(builder, memory.vector(place[column])))]
            memory.store(pack(builder, *value), place[column])
        return
    y, z = {}, {}
    for column in columns:
        r, x = (unpack(builder, memory.vector(memory.at(place[column], (step, gap)))) for step in (0, 1))
        for row in (0, 1):
            y[row, column] = builder.fmul(r[row], x[row])
            z[row, column] = _where(builder, r[row], builder.fmul(block[row, column], x[row]))
        memory.store(pack(builder, z[0, column], z[1, column]), memory.at(place[column], (2, gap)))
        memory.store(pack(builder, *(builder.fmul(block[row, column], r[row]) for row in (0, 1))), memory.at(place[column], (3, gap)))
    for row in (0, 1):
        at = memory.at(tokens, (row, t_row))
        memory.store(pack(builder, y[row, 0], y[row, 1]), at)
        memory.store(pack(builder, z[row, 0], z[row, 1]), memory.at(at, (1, t_gap)))


def _tile(columns: int) -> Any:
    """As in `tiles`, for blocks of ROWS by one or two vectors."""

    @_intrinsic
    def tile(_: Any, w: Any, a: Any, ar: Any, ak: Any, b: Any, bk: Any, c: Any, cr: Any, count: Any, how: Any, gap: Any, t: Any, tr: Any, tg: Any) -> Any:
        def lower(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
            array, a, ar, ak, b, bk, c, cr, count, how, gap, t, tr, tg = values
            memory, lanes = Place(context, builder, kinds.args[0], array), ir.Constant(LONG, LANES)

            def term(k: Any, grown: list[Any]) -> list[Any]:
                b_c = [memory.vector(memory.at(b, (column, lanes), (k, bk))) for column in range(columns)]
                a_r = [memory.scalar(memory.at(a, (row, ar), (k, ak))) for row in range(ROWS)]
                return [_dot(builder, a_r[index // columns], b_c[index % columns], value) for index, value in enumerate(grown)]

            found = sums(builder, count, ROWS * columns, term)
            done = builder.append_basic_block("done")
            switch = builder.switch(how, done)
            for kind in (SET, ADD, RELU, GATE, SPLIT)[: 5 if columns == 2 else 2]:
                block = builder.append_basic_block()
                switch.add_case(ir.Constant(LONG, kind), block)
                builder.position_at_end(block)
                for index in range(ROWS * columns) if kind in (SET, ADD) else ():
                    place = memory.at(c, (index // columns, cr), (index % columns, lanes))
                    memory.store(builder.fadd(memory.vector(place), found[index]) if kind == ADD else found[index], place)
                for row in range(0, ROWS, 2) if kind not in (SET, ADD) else ():
                    both = {(r, column): found[(row + r) * columns + column] for r in (0, 1) for column in range(columns)}
                    places = [memory.at(c, (row // 2, cr), (column, lanes)) for column in range(columns)]
                    _finish(builder, memory, both, places, gap, memory.at(t, (row, tr)), tr, tg, kind)
                builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(w, *[types.intp] * 13), lower

    return tile


def _across(rows: int) -> Any:
    """Both halves of 32 groups: for a pair of rows of x [N, c] and members i, x' + sum over j of m_ij x_j where x > 0, as pairs of rows and as tokens."""

    @_intrinsic
    def tile(_: Any, w: Any, m: Any, mh: Any, mr: Any, x: Any, members: Any, gap: Any, i: Any, t: Any, tr: Any) -> Any:
        def lower(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
            array, m, mh, mr, x, members, gap, i, t, tr = values
            memory, lanes = Place(context, builder, kinds.args[0], array), ir.Constant(LONG, LANES)
            wide = ir.Constant(LONG, 2 * LANES)

            def term(j: Any, grown: list[Any]) -> list[Any]:
                x_h = [unpack(builder, memory.vector(memory.at(x, (j, wide), (half, lanes)))) for half in (0, 1)]
                m_rh = [[memory.vector(memory.at(m, (row, mr), (half, mh), (j, lanes))) for half in (0, 1)] for row in range(rows)]
                return [multiply_add(builder, m_rh[n // 4][n // 2 % 2], x_h[n // 2 % 2][n % 2], value) for n, value in enumerate(grown)]

            found = sums(builder, members, rows * 4, term)
            for row in range(rows):
                value = {}
                for half in (0, 1):
                    place = memory.at(x, (builder.add(i, ir.Constant(LONG, row)), wide), (half, lanes))
                    target = memory.at(place, (2, gap))
                    old, tested = unpack(builder, memory.vector(target)), unpack(builder, memory.vector(place))
                    for n in (0, 1):
                        value[n, half] = _where(builder, tested[n], builder.fadd(old[n], found[row * 4 + half * 2 + n]))
                    memory.store(pack(builder, value[0, half], value[1, half]), target)
                for n in (0, 1):
                    memory.store(pack(builder, value[n, 0], value[n, 1]), memory.at(t, (n, tr), (builder.add(i, ir.Constant(LONG, row)), lanes)))
            return context.get_dummy_value()

        return types.void(w, *[types.intp] * 9), lower

    return tile


def _scores(rows: int) -> Any:
    """Members i by members j of 16 groups: sum over pairs n of x_in x_jn."""

    @_intrinsic
    def tile(_: Any, w: Any, a: Any, b: Any, bk: Any, member: Any, c: Any, cr: Any, count: Any) -> Any:
        def lower(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
            array, a, b, bk, member, c, cr, count = values
            memory, lanes = Place(context, builder, kinds.args[0], array), ir.Constant(LONG, LANES)

            def term(k: Any, grown: list[Any]) -> list[Any]:
                a_r, b_r = ([memory.vector(memory.at(start, (row, member), (k, bk))) for row in range(rows)] for start in (a, b))
                return [_dot(builder, a_r[n // rows], b_r[n % rows], value) for n, value in enumerate(grown)]

            for n, value in enumerate(sums(builder, count, rows * rows, term)):
                memory.store(value, memory.at(c, (n // rows, cr), (n % rows, lanes)))
            return context.get_dummy_value()

        return types.void(w, *[types.intp] * 7), lower

    return tile


_wide, _narrow = _tile(2), _tile(1)
_across1, _across2, _across3 = (_across(rows) for rows in (1, 2, 3))
_scores1, _scores2, _scores3 = (_scores(rows) for rows in (1, 2, 3))


@njit(cache=True, nogil=True)
def mix(
    w: Any, a: int, ar: int, ak: int, b: int, bk: int, c: int, cr: int, rows: int, vectors: int, count: int, how: int, gap: int, t: int, tr: int, tg: int
) -> None:
    """`tiles.mix` of words; an odd number of vectors for SET and ADD only. T [rows, tokens / 2] has a stride and a gap of its own."""
    step = cr if how in (SET, ADD) else cr // 2
    for v in range(0, vectors - 1, 2):
        for r in range(0, rows, ROWS):
            _wide(w, a + r * ar, ar, ak, b + v * LANES, bk, c + r * step + v * LANES, cr, count, how, gap, t + r * tr + v * LANES // 2, tr, tg)
    if vectors % 2:
        for r in range(0, rows, ROWS):
            v = (vectors - 1) * LANES
            _narrow(w, a + r * ar, ar, ak, b + v, bk, c + r * step + v, cr, count, how, gap, t, tr, tg)


@njit(cache=True, nogil=True)
def across(w: Any, m: int, x: int, stride: int, rows: int, members: int, gap: int, t: int, tr: int) -> None:
    """x', at x + 2 gap, becomes the gradient of v Dx: + sum over j of m_ij x_j, where x > 0; m [2, k, k, 16], x [rows / 2, c] pairs of rows, T as tokens."""
    block, line = 3 if members % 3 == 0 else 2 if members % 2 == 0 else 1, members * LANES
    for n in range(0, rows, 2):
        for i in range(0, members, block):
            if block == 3:
                _across3(w, m + i * line, members * line, line, x + n // 2 * stride, members, gap, i, t + n * tr, tr)
            elif block == 2:
                _across2(w, m + i * line, members * line, line, x + n // 2 * stride, members, gap, i, t + n * tr, tr)
            else:
                _across1(w, m + i * line, members * line, line, x + n // 2 * stride, members, gap, i, t + n * tr, tr)


@njit(cache=True, nogil=True)
def scores(w: Any, x: int, stride: int, member: int, c: int, size: int, count: int) -> None:
    """The products of all pairs of members above the diagonal, [size, size, 16], of x in pairs of rows."""
    block, line = 3 if size % 3 == 0 else 2 if size % 2 == 0 else 1, size * LANES
    for i in range(0, size, block):
        for j in range(i, size, block):
            if block == 3:
                _scores3(w, x + i * member, x + j * member, stride, member, c + i * line + j * LANES, line, count)
            elif block == 2:
                _scores2(w, x + i * member, x + j * member, stride, member, c + i * line + j * LANES, line, count)
            else:
                _scores1(w, x + i * member, x + j * member, stride, member, c + i * line + j * LANES, line, count)

"""A numba type for a whole 9×9 board in processor registers: 36 unsigned 32-bit lanes, nine digits × four bands, the fourth of them unused and zero.

In compiled functions such a value knows `& | ^ ~ + - << >>`, with another one or with an integer for all lanes, and the functions below. All of
it is plain LLVM vector code, so every processor uses the widest registers it has. Digit d of band b is lane 4·d + b; in memory a value is 36 words.
"""

# numba's extension layer is not annotated
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.core.typing.templates import signature
from numba.extending import lower_builtin, models, register_model, type_callable

WORDS = 36
_intrinsic: Any = extending.intrinsic  # what it makes is known to compiled code only
_WORD, _LONG = ir.IntType(32), ir.IntType(64)
_SIZES = (32, 4)  # digits 1…8 and digit 9: both fill the registers of every common width
_PAIR = ir.LiteralStructType([ir.VectorType(_WORD, size) for size in _SIZES])
_OPERATORS = {"and_": "and_", "or_": "or_", "xor": "xor", "add": "add", "sub": "sub", "lshift": "shl", "rshift": "lshr"}


class _Type(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Lanes")


lanes = _Type()


@register_model(_Type)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _PAIR)


def _shuffled(builder: Any, vector: Any, order: Iterable[int]) -> Any:
    order = list(order)
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), ir.Constant(ir.VectorType(_WORD, len(order)), order))


def _parts(builder: Any, value: Any) -> list[Any]:
    return [builder.extract_value(value, part) for part in range(2)]


def _pair(builder: Any, parts: Iterable[Any]) -> Any:
    most, last = parts
    return builder.insert_value(builder.insert_value(ir.Constant(_PAIR, ir.Undefined), most, 0), last, 1)


def _repeated(builder: Any, vector: Any) -> Any:
    """The lanes of `vector`, one or four, over and over."""
    return _pair(builder, (_shuffled(builder, vector, (lane % vector.type.count for lane in range(size))) for size in _SIZES))


def _splat(builder: Any, word: Any) -> Any:
    one = ir.Constant(ir.VectorType(_WORD, 1), ir.Undefined)
    return _repeated(builder, builder.insert_element(one, word, ir.Constant(_WORD, 0)))


def _operate(key: Callable[..., Any], name: str) -> None:
    """Teaches numba one operator between lanes and lanes or an integer."""

    @type_callable(key)
    def typing(_: Any) -> Any:
        def of(a: Any, b: Any) -> Any:
            if a is lanes and (b is lanes or isinstance(b, types.Integer)):
                return signature(lanes, lanes, lanes if b is lanes else types.uint32)
            return None

        return of

    def lower(_: Any, builder: Any, kinds: Any, values: Any) -> Any:
        a, b = values
        b = b if kinds.args[1] is lanes else _splat(builder, b)
        return _pair(builder, (getattr(builder, name)(x, y) for x, y in zip(_parts(builder, a), _parts(builder, b))))

    lower_builtin(key, lanes, lanes)(lower)
    lower_builtin(key, lanes, types.uint32)(lower)


for _key, _name in _OPERATORS.items():
    _operate(getattr(operator, _key), _name)


@type_callable(operator.invert)
def _invert_typing(_: Any) -> Any:
    return lambda a: lanes if a is lanes else None


@lower_builtin(operator.invert, lanes)
def _invert(_: Any, builder: Any, kinds: Any, values: Any) -> Any:
    return _pair(builder, map(builder.not_, _parts(builder, values[0])))


def _addresses(context: Any, builder: Any, kind: Any, words: Any, first: Any) -> list[Any]:
    """Pointers to the two vectors that start at `words[first]`."""
    start = builder.gep(context.make_array(kind)(context, builder, words).data, [first])
    rest = builder.gep(start, [ir.Constant(_WORD, _SIZES[0])])
    return [builder.bitcast(at, part.as_pointer()) for at, part in zip((start, rest), _PAIR.elements)]


@_intrinsic
def load(_: Any, words: Any, first: Any) -> Any:
    """The 36 words of an array from index `first` on."""

    def lower(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
        return _pair(builder, (builder.load(at, align=4) for at in _addresses(context, builder, kinds.args[0], *values)))

    return lanes(words, types.intp), lower


@_intrinsic
def store(_: Any, words: Any, first: Any, value: Any) -> Any:
    """Writes a value to 36 words of an array from index `first` on."""

    def lower(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
        *place, value = values
        for part, at in zip(_parts(builder, value), _addresses(context, builder, kinds.args[0], *place)):
            builder.store(part, at, align=4)
        return context.get_dummy_value()

    return types.void(words, types.intp, lanes), lower


@_intrinsic
def every(_: Any, words: Any, first: Any) -> Any:
    """Four words of an array from index `first` on, one a band, the same for every digit."""

    def lower(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
        at = _addresses(context, builder, kinds.args[0], *values)[0]
        return _repeated(builder, builder.load(builder.bitcast(at, _PAIR.elements[1].as_pointer()), align=4))

    return lanes(words, types.intp), lower


@_intrinsic
def next_band(_: Any, value: Any) -> Any:
    """Every band's lane moved to the band before it, and the first band's to the third."""

    def lower(_: Any, builder: Any, kinds: Any, values: Any) -> Any:
        orders = ([lane // 4 * 4 + (1, 2, 0, 3)[lane % 4] for lane in range(size)] for size in _SIZES)
        return _pair(builder, (_shuffled(builder, part, order) for part, order in zip(_parts(builder, values[0]), orders)))

    return lanes(lanes), lower


@_intrinsic
def tally(_: Any, value: Any) -> Any:
    """Nine values, the same for every digit: the bits that at least 1, 2, … 9 digits have. What is not used costs nothing."""
    nine = types.UniTuple(lanes, 9)

    def lower(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
        most, last = _parts(builder, values[0])
        levels = _levels(builder, most)
        while levels[0].type.count > 4:
            half = levels[0].type.count // 2
            levels = _merged(builder, *([_shuffled(builder, level, range(at, at + half)) for level in levels] for at in (0, half)))
        return context.make_tuple(builder, nine, [_repeated(builder, level) for level in _merged(builder, levels, _levels(builder, last))])

    return nine(lanes), lower


def _levels(builder: Any, vector: Any) -> list[Any]:
    return [vector, *[ir.Constant(vector.type, None)] * 8]


def _merged(builder: Any, a: list[Any], b: list[Any]) -> list[Any]:
    """The counts of two groups of digits, each as the bits with at least 1, 2, … 9, as the counts of both together."""
    together = []
    for level in range(9):
        bits = builder.or_(a[level], b[level])
        for part in range(level):
            bits = builder.or_(bits, builder.and_(a[part], b[level - 1 - part]))
        together.append(bits)
    return together


@_intrinsic
def nonzero(_: Any, value: Any) -> Any:
    """A 64-bit integer with bit i set where lane i is not zero."""

    def lower(_: Any, builder: Any, kinds: Any, values: Any) -> Any:
        found = []
        for part in _parts(builder, values[0]):
            flags = builder.icmp_unsigned("!=", part, ir.Constant(part.type, None))
            found.append(builder.zext(builder.bitcast(flags, ir.IntType(part.type.count)), _LONG))
        return builder.or_(found[0], builder.shl(found[1], ir.Constant(_LONG, _SIZES[0])))

    return types.uint64(lanes), lower


@_intrinsic
def select(_: Any, bits: Any) -> Any:
    """All ones in lane i where bit i of a 64-bit integer is set: the inverse of `nonzero`."""

    def lower(_: Any, builder: Any, kinds: Any, values: Any) -> Any:
        parts = []
        for size, first in zip(_SIZES, (0, _SIZES[0])):
            flags = builder.trunc(builder.lshr(values[0], ir.Constant(_LONG, first)), ir.IntType(size))
            parts.append(builder.sext(builder.bitcast(flags, ir.VectorType(ir.IntType(1), size)), ir.VectorType(_WORD, size)))
        return _pair(builder, parts)

    return lanes(types.uint64), lower


@_intrinsic
def count(_: Any, value: Any) -> Any:
    """How many bits are set in all lanes."""

    def lower(_: Any, builder: Any, kinds: Any, values: Any) -> Any:
        sums = []
        for part in _parts(builder, values[0]):
            suffix = f"v{part.type.count}i32"
            ones = cgutils.get_or_insert_function(builder.module, ir.FunctionType(part.type, [part.type]), f"llvm.ctpop.{suffix}")
            total = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_WORD, [part.type]), f"llvm.vector.reduce.add.{suffix}")
            sums.append(builder.call(total, [builder.call(ones, [part])]))
        return builder.add(*sums)

    return types.uint32(lanes), lower


@_intrinsic
def word(_: Any, value: Any, band: Any) -> Any:
    """The last digit's lane of a band: a band's word where it is the same for every digit."""

    def lower(_: Any, builder: Any, kinds: Any, values: Any) -> Any:
        return builder.extract_element(builder.extract_value(values[0], 1), values[1])

    return types.uint32(lanes, types.intp), lower


@_intrinsic
def lowest(_: Any, bits: Any) -> Any:
    """The index of the lowest set bit of a 64-bit integer that is not zero."""

    def lower(_: Any, builder: Any, kinds: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.uint64), lower

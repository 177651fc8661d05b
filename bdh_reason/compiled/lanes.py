"""A numba type for sixteen floats side by side in a processor register, which compiled functions load, store and reckon with.

All of it is plain LLVM vector code: where a processor's registers are narrower, a vector is several of them. Places count floats from an array's start.
"""

# numba's extension layer is not annotated
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import math
import operator
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.core.typing.templates import signature
from numba.extending import lower_builtin, models, register_model, type_callable

LANES = 16
VECTOR, LONG, WORD = ir.VectorType(ir.FloatType(), LANES), ir.IntType(64), ir.IntType(32)
_WORDS = ir.VectorType(WORD, LANES)
_SHORTS = ir.VectorType(ir.IntType(16), LANES)
_CODE = {VECTOR: f"v{LANES}f32", _SHORTS: f"v{LANES}i16"}
_SERIES = [math.log(2) ** n / math.factorial(n) for n in range(8)]  # of 2^x, for |x| <= 1/2
_intrinsic: Any = extending.intrinsic  # what it makes is known to compiled code only


def has(feature: str) -> bool:
    """Whether the processor that numba compiles for has it, in LLVM's words."""
    return f"+{feature}" in cpu_target.target_context.codegen().magic_tuple()[2].split(",")


class _Brain(ir.types._BaseFloatType):  # llvmlite has no name for it
    """LLVM's bfloat."""

    intrinsic_name = "bf16"

    def __str__(self) -> str:
        return "bfloat"


_Brain._create_instance()
HALVES = ir.VectorType(_Brain(), 2 * LANES)


class _Type(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Sixteen")


sixteen = _Type()


@register_model(_Type)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, VECTOR)


def _operate(key: Any, name: str) -> None:
    """Teaches numba one operator between vectors."""

    @type_callable(key)
    def typing(_: Any) -> Any:
        return lambda a, b: signature(sixteen, sixteen, sixteen) if a is sixteen and b is sixteen else None

    @lower_builtin(key, sixteen, sixteen)
    def lower(_: Any, builder: Any, kinds: Any, values: Any) -> Any:
        return getattr(builder, name)(*values)


for _key, _name in {operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul", operator.truediv: "fdiv"}.items():
    _operate(_key, _name)


@_intrinsic
def load(_: Any, w: Any, place: Any) -> Any:
    """Sixteen floats of a one-dimensional array."""
    return sixteen(w, types.intp), lambda context, builder, kinds, values: Place(context, builder, kinds.args[0], values[0]).vector(values[1])


@_intrinsic
def store(_: Any, w: Any, place: Any, value: Any) -> Any:
    """Writes sixteen floats of a one-dimensional array."""

    def lower(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
        Place(context, builder, kinds.args[0], values[0]).store(values[2], values[1])
        return context.get_dummy_value()

    return types.void(w, types.intp, sixteen), lower


@_intrinsic
def spread(_: Any, value: Any) -> Any:
    """One number in all lanes."""
    return sixteen(types.float32), lambda context, builder, kinds, values: splat(builder, values[0])


@_intrinsic
def total(_: Any, value: Any) -> Any:
    """The sum of all lanes, in all lanes."""

    def lower(_: Any, builder: Any, kinds: Any, values: Any) -> Any:
        value = values[0]
        for distance in (8, 4, 2, 1):
            order = ir.Constant(ir.VectorType(WORD, LANES), [lane ^ distance for lane in range(LANES)])
            value = builder.fadd(value, builder.shuffle_vector(value, ir.Constant(VECTOR, ir.Undefined), order))
        return value

    return sixteen(sixteen), lower


@_intrinsic
def inverse_root(_: Any, value: Any) -> Any:
    """1 / sqrt, lane by lane."""

    def lower(_: Any, builder: Any, kinds: Any, values: Any) -> Any:
        root = cgutils.get_or_insert_function(builder.module, ir.FunctionType(VECTOR, [VECTOR]), f"llvm.sqrt.v{LANES}f32")
        return builder.fdiv(ir.Constant(VECTOR, [1.0] * LANES), builder.call(root, values))

    return sixteen(sixteen), lower


@_intrinsic
def larger(_: Any, a: Any, b: Any) -> Any:
    """The larger of two numbers, lane by lane."""

    def lower(_: Any, builder: Any, kinds: Any, values: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *values), *values)

    return sixteen(sixteen, sixteen), lower


@_intrinsic
def power(_: Any, value: Any) -> Any:
    """2 to the value, lane by lane, for values up to 127; below -126 it is 2 to the -126. Within 2 units in the last place; not a number stays so."""

    def lower(_: Any, builder: Any, kinds: Any, values: Any) -> Any:
        least = _all(VECTOR, -126.0)
        value = builder.select(builder.fcmp_ordered("<", values[0], least), least, values[0])
        whole = builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(VECTOR, [VECTOR]), f"llvm.rint.v{LANES}f32"), [value])
        rest, found = builder.fsub(value, whole), _all(VECTOR, _SERIES[-1])
        for coefficient in reversed(_SERIES[:-1]):
            found = builder.fadd(builder.fmul(found, rest), _all(VECTOR, coefficient))
        exponent = builder.shl(builder.fptosi(whole, _WORDS), _all(_WORDS, 23))
        return builder.bitcast(builder.add(builder.bitcast(found, _WORDS), exponent), VECTOR)

    return sixteen(sixteen), lower


@_intrinsic
def take(_: Any, array: Any, place: Any, count: Any) -> Any:
    """`count` numbers of a one-dimensional array, at most sixteen, and zeros after them; int16 are the bits of bf16."""

    def lower(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
        pointer, kind, rest = _part(context, builder, kinds.args[0], *values)
        function = ir.FunctionType(kind, [pointer.type, WORD, rest.type, kind])
        read = cgutils.get_or_insert_function(builder.module, function, f"llvm.masked.load.{_CODE[kind]}.p0")
        value = builder.call(read, [pointer, ir.Constant(WORD, 2), rest, ir.Constant(kind, None)])
        return value if kind is VECTOR else builder.bitcast(builder.shl(builder.zext(value, _WORDS), _all(_WORDS, 16)), VECTOR)

    return sixteen(array, types.intp, types.intp), lower


@_intrinsic
def put(_: Any, array: Any, place: Any, count: Any, value: Any) -> Any:
    """Writes the first `count` lanes, at most sixteen; into int16 as the bits of the nearest bf16."""

    def lower(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
        *where, value = values
        pointer, kind, rest = _part(context, builder, kinds.args[0], *where)
        if kind is _SHORTS:
            bits, sixteenth = builder.bitcast(value, _WORDS), _all(_WORDS, 16)
            even = builder.add(_all(_WORDS, 0x7FFF), builder.and_(builder.lshr(bits, sixteenth), _all(_WORDS, 1)))
            value = builder.trunc(builder.lshr(builder.add(bits, even), sixteenth), _SHORTS)
        function = ir.FunctionType(ir.VoidType(), [kind, pointer.type, WORD, rest.type])
        write = cgutils.get_or_insert_function(builder.module, function, f"llvm.masked.store.{_CODE[kind]}.p0")
        builder.call(write, [value, pointer, ir.Constant(WORD, 2), rest])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, sixteen), lower


def _part(context: Any, builder: Any, array_kind: Any, array: Any, place: Any, count: Any) -> tuple[Any, Any, Any]:
    """(pointer, its type of vector, which lanes are meant) for so many numbers of an array from a place on."""
    kind = _SHORTS if array_kind.dtype == types.int16 else VECTOR
    start = context.make_array(array_kind)(context, builder, array).data
    one = builder.insert_element(ir.Constant(_WORDS, ir.Undefined), builder.trunc(count, WORD), ir.Constant(WORD, 0))
    end = builder.shuffle_vector(one, ir.Constant(_WORDS, ir.Undefined), _all(_WORDS, 0))
    meant = builder.icmp_signed("<", ir.Constant(_WORDS, list(range(LANES))), end)
    return builder.bitcast(builder.gep(start, [place]), kind.as_pointer()), kind, meant


def _all(kind: Any, value: float) -> Any:
    return ir.Constant(kind, [value] * LANES)


def pack(builder: Any, low: Any, high: Any) -> Any:
    """Sixteen pairs of bf16 in the bits of sixteen floats: `low` in the lower halves."""
    kind = ir.FunctionType(HALVES, [VECTOR] * 2)
    halves = builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512bf16.cvtne2ps2bf16.512"), [high, low])
    order = ir.Constant(ir.VectorType(WORD, 2 * LANES), [lane // 2 + LANES * (lane % 2) for lane in range(2 * LANES)])
    return builder.bitcast(builder.shuffle_vector(halves, ir.Constant(HALVES, ir.Undefined), order), VECTOR)


def unpack(builder: Any, both: Any) -> tuple[Any, Any]:
    """(low, high) of such pairs."""
    words = builder.bitcast(both, _WORDS)
    low, high = builder.shl(words, ir.Constant(_WORDS, [16] * LANES)), builder.and_(words, ir.Constant(_WORDS, [0xFFFF0000] * LANES))
    return builder.bitcast(low, VECTOR), builder.bitcast(high, VECTOR)


@_intrinsic
def paired(_: Any, low: Any, high: Any) -> Any:
    """Two vectors as sixteen pairs of bf16."""
    return sixteen(sixteen, sixteen), lambda context, builder, kinds, values: pack(builder, *values)


class Place:
    """Emits loads and stores at places of the workspace."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any) -> None:
        self.builder, self.start = builder, context.make_array(kind)(context, builder, array).data

    def at(self, place: Any, *steps: tuple[Any, Any]) -> Any:
        """A place moved on by counts times strides."""
        for count, stride in steps:
            count = ir.Constant(LONG, count) if isinstance(count, int) else count
            place = self.builder.add(place, self.builder.mul(count, stride))
        return place

    def vector(self, place: Any) -> Any:
        return self.builder.load(self._pointer(place), align=4)

    def store(self, value: Any, place: Any) -> None:
        self.builder.store(value, self._pointer(place), align=4)

    def scalar(self, place: Any) -> Any:
        """One float in all lanes."""
        return splat(self.builder, self.builder.load(self.builder.gep(self.start, [place]), align=4))

    def _pointer(self, place: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(self.start, [place]), VECTOR.as_pointer())


def splat(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), value, ir.Constant(WORD, 0))
    return builder.shuffle_vector(one, ir.Constant(VECTOR, ir.Undefined), ir.Constant(ir.VectorType(WORD, LANES), [0] * LANES))

"""A numba type for sixteen floats side by side in a processor register, which compiled functions load, store, add, subtract and multiply.

All of it is plain LLVM vector code: where a processor's registers are narrower, a vector is several of them. Places count floats from an array's start.
"""

# numba's extension layer is not annotated
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

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


for _key, _name in {operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul"}.items():
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

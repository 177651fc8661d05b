"""One token of one text at the cost of its active neurons: where x is 0, nothing is read from or written to the synapses, and neither Dy nor E is read.

The map Dx alone is read whole, since v is dense. Rows of rho, of Dy and of E lie side by side in memory, so that a neuron costs three of them.
Axes: D width, H heads, N neurons of a head; 1 is the token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from bdh_reason.bdh.places import Places

if TYPE_CHECKING:
    from bdh_reason.bdh.model import Model

AHEAD = 8  # rows that are asked for before they are needed, while memory is slow to answer
FREE = {"reassoc", "contract", "nsz"}  # sums in any order, but NaN and infinity stay what they are
_ROWS: WeakKeyDictionary[Model, tuple[tuple[int, int], Tensor]] = WeakKeyDictionary()


def fits(model: Model) -> bool:
    """Whether tokens are decoded here: all forms, all positions but damped ones, where every synapse fades at every token and none can be left alone."""
    return "alibi" not in model.config.positions and not model.Dy_HDN.is_inference()


def token(model: Model, v_1D: Tensor, v0_1D: Tensor | None, rhos_HND: list[Tensor], where: Places) -> Tensor:
    """All layers over one token, v [1, D] -> v [1, D]; rho is written in place."""
    config, x_H1N = model.config, None
    Dy_LHND = rows(model).view(-1, *rhos_HND[0].shape)
    for layer, ((Dx_HDN, _, E_HND), rho_HND) in enumerate(zip(model._weights(), rhos_HND)):
        new_H1N = (v_1D @ Dx_HDN).relu_()
        x_H1N = new_H1N if x_H1N is None or config.form == "released" else new_H1N.add_(x_H1N)
        tensors = x_H1N[:, 0], where.turned(x_H1N)[:, 0], v_1D[0], rho_HND, Dy_LHND[layer % len(Dy_LHND)], E_HND
        update_D = _heads(*(tensor.detach().numpy() for tensor in tensors), where.strict, config.form != "normfree")  # type: ignore[call-arg, arg-type]
        v_1D = model._close(v_1D, torch.from_numpy(update_D)[None], v0_1D)
    return v_1D


def forget(model: Model) -> None:
    """What `rows` remembers: to be called where gradients are wanted, for an optimiser may write next, and fused ones do so without torch counting it."""
    _ROWS.pop(model, None)


def rows(model: Model) -> Tensor:
    """Dy as rows of neurons [H or L·H, N, D], made again when the weights changed: another place, or torch counted a write (not through `.data`)."""
    weight_HDN = model.Dy_HDN
    version = weight_HDN.data_ptr(), weight_HDN._version
    if model not in _ROWS or _ROWS[model][0] != version:
        _ROWS[model] = version, weight_HDN.detach().mT.contiguous()
    return _ROWS[model][1]


@intrinsic
def _prefetch(_: Any, row: types.Array) -> Any:
    """Asks the processor for the cache line at the beginning of `row` and does not wait for it."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        pointer = builder.bitcast(context.make_array(signature.args[0])(context, builder, arguments[0]).data, ir.IntType(8).as_pointer())
        write, near, data = (ir.Constant(ir.IntType(32), number) for number in (0, 3, 1))
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, write.type, near.type, data.type])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0"), [pointer, write, near, data])  # type: ignore[no-untyped-call]
        return context.get_dummy_value()

    return types.void(row), emit


@njit(cache=True, nogil=True)
def _active(value_N: np.ndarray, active_A: np.ndarray) -> int:
    """Lists the neurons whose value is not 0; returns how many. The last one stands `AHEAD` times more, so that whoever looks ahead finds a row."""
    count = 0
    for i in range(len(value_N)):
        active_A[count] = i
        count += value_N[i] != 0
    active_A[count : count + AHEAD] = active_A[max(count - 1, 0)]
    return count


@njit(cache=True, nogil=True)
def _fetch(row_D: np.ndarray) -> None:
    for d in range(0, len(row_D), 64 // row_D.itemsize):
        _prefetch(row_D[d:])  # type: ignore[call-arg]


@njit(cache=True, nogil=True, fastmath=FREE)
def _attend(q_N: np.ndarray, v_D: np.ndarray, rho_ND: np.ndarray, strict: bool, active_A: np.ndarray) -> np.ndarray:
    """Reads a = q rho and writes rho <- rho + q v^T, each row once."""
    a_D = np.zeros_like(v_D)
    for place in range(_active(q_N, active_A)):
        _fetch(rho_ND[active_A[place + AHEAD]])
        q, rho_D = q_N[active_A[place]], rho_ND[active_A[place]]
        for d in range(len(v_D)):
            old = rho_D[d]
            new = old + q * v_D[d]
            rho_D[d] = new
            a_D[d] += q * (old if strict else new)
    return a_D


@njit(cache=True, nogil=True, fastmath=FREE)
def _gate(x_N: np.ndarray, a_D: np.ndarray, Dy_ND: np.ndarray, active_A: np.ndarray, y_N: np.ndarray) -> None:
    """Fills in y = relu(a Dy) * x; the sign is asked so that a NaN goes on."""
    y_N[:] = 0
    for place in range(_active(x_N, active_A)):
        _fetch(Dy_ND[active_A[place + AHEAD]])
        Dy_D = Dy_ND[active_A[place]]
        y = a_D[0] * Dy_D[0]
        for d in range(1, len(a_D)):
            y += a_D[d] * Dy_D[d]
        if not y <= 0:
            y_N[active_A[place]] = y * x_N[active_A[place]]


@njit(cache=True, nogil=True, fastmath=FREE)
def _heads(
    x_HN: np.ndarray,
    q_HN: np.ndarray,
    v_D: np.ndarray,
    rho_HND: np.ndarray,
    Dy_HND: np.ndarray,
    E_HND: np.ndarray,
    strict: bool,
    normed: bool,
) -> np.ndarray:
    """What all heads add, sum of y E [D], where y = relu(LN(a) Dy) * x; rho is written in place."""
    update_D, y_N, active_A = np.zeros_like(v_D), np.empty_like(x_HN[0]), np.empty(x_HN.shape[1] + AHEAD, np.int64)
    for h in range(len(x_HN)):
        a_D = _attend(q_HN[h], v_D, rho_HND[h], strict, active_A)
        if normed:
            a_D -= a_D.mean()
            a_D /= np.sqrt((a_D * a_D).mean() + 1e-5)
        _gate(x_HN[h], a_D, Dy_HND[h], active_A, y_N)
        for place in range(_active(y_N, active_A)):
            _fetch(E_HND[h, active_A[place + AHEAD]])
            y, E_D = y_N[active_A[place]], E_HND[h, active_A[place]]
            for d in range(len(v_D)):
                update_D[d] += y * E_D[d]
    return update_D

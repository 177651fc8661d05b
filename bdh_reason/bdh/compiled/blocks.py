"""BDH's bound layer on a block of boards, compiled: gathers 32 groups of a head at a time, leaves them to `chunks` (float32) or `halves` (bf16), and adds up.

Arrays of numbers per token are flat, one token after another. Axes: t tokens of all boards, D width, H heads, N neurons, c columns of a chunk.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numba.extending import overload

from bdh_reason.bdh.compiled import chunks, halves
from bdh_reason.bdh.compiled.chunks import EPSILON, GROUPS
from bdh_reason.compiled.lanes import LANES, inverse_root, load, spread, store, total


def rows(order_Ht: np.ndarray, boards: int, k: int) -> np.ndarray:
    """The token of each column of each head's chunks in a block of so many boards, int64 [H, chunks, c]; -1 for none. `order` puts groups of k side by side."""
    heads, tokens = order_Ht.shape
    row_Hgk = (order_Ht[:, None] + tokens * np.arange(boards)[:, None]).reshape(heads, -1, k)
    row_Hgk = np.pad(row_Hgk, ((0, 0), (0, -row_Hgk.shape[1] % GROUPS), (0, 0)), constant_values=-1)
    return np.ascontiguousarray(row_Hgk.reshape(heads, -1, GROUPS, k).swapaxes(2, 3)).reshape(heads, -1, k * GROUPS)


def _look(w: Any, at: Any, scale: float) -> None:
    raise NotImplementedError("compiled only")


def _back(w: Any, at: Any, scale: float) -> None:
    raise NotImplementedError("compiled only")


def _prepare(w: Any, at: Any) -> None:
    raise NotImplementedError("compiled only")


def _half(at: Any) -> bool:
    return bool(at.instance_class is halves.Places)


@overload(_look, strict=False)
def _which_look(w: Any, at: Any, scale: Any) -> Any:
    return (lambda w, at, scale: halves.look(w, at, scale)) if _half(at) else (lambda w, at, scale: chunks.look(w, at, scale))


@overload(_back, strict=False)
def _which_back(w: Any, at: Any, scale: Any) -> Any:
    return (lambda w, at, scale: halves.back(w, at, scale)) if _half(at) else (lambda w, at, scale: chunks.back(w, at, scale))


@overload(_prepare, strict=False)
def _which_preparation(w: Any, at: Any) -> Any:
    return (lambda w, at: halves.prepare(w, at)) if _half(at) else (lambda w, at: None)


@njit(cache=True, nogil=True)
def _gather(w: Any, place: int, width: int, row_c: Any, source: Any) -> None:
    for c in range(len(row_c)):
        for d in range(0, width, LANES):
            store(w, place + c * width + d, load(source, row_c[c] * width + d) if row_c[c] >= 0 else spread(np.float32(0)))


@njit(cache=True, nogil=True)
def _scatter(w: Any, place: int, width: int, row_c: Any, target: Any) -> None:
    for c in range(len(row_c)):
        if row_c[c] >= 0:
            for d in range(0, width, LANES):
                store(target, row_c[c] * width + d, load(target, row_c[c] * width + d) + load(w, place + c * width + d))


@njit(cache=True, nogil=True)
def _take_weights(w: Any, at: Any, h: int, weights: Any) -> None:
    """One head's Dx, Dy and E into the workspace."""
    for index in range(3):
        place = at.Dx_DN + index * at.width * at.neurons
        w[place : place + at.width * at.neurons] = weights[index][h].reshape(-1)


@njit(cache=True, nogil=True)
def _standard(given: Any, row: int, out: Any, there: int, width: int) -> Any:
    """LN of the numbers from `row` on, written from `there` on; returns one over the deviation."""
    share, mean, square = spread(np.float32(1 / width)), spread(np.float32(0)), spread(np.float32(0))
    for d in range(0, width, LANES):
        mean = mean + load(given, row + d)
    mean = total(mean) * share
    for d in range(0, width, LANES):
        centred = load(given, row + d) - mean
        square = square + centred * centred
    scale = inverse_root(total(square) * share + spread(np.float32(EPSILON)))
    for d in range(0, width, LANES):
        store(out, there + d, (load(given, row + d) - mean) * scale)
    return scale


@njit(cache=True, nogil=True)
def _standard_back(grad: Any, row: int, normal: Any, here: int, scale: Any, out: Any, there: int, width: int) -> None:
    """The gradient of LN's input from that of its output, and from the output."""
    share, mean, along = spread(np.float32(1 / width)), spread(np.float32(0)), spread(np.float32(0))
    for d in range(0, width, LANES):
        mean = mean + load(grad, row + d)
        along = along + load(grad, row + d) * load(normal, here + d)
    mean, along = total(mean) * share, total(along) * share
    for d in range(0, width, LANES):
        store(out, there + d, (load(grad, row + d) - mean - along * load(normal, here + d)) * scale)


@njit(cache=True, nogil=True)
def _join(w: Any, place: int, v: Any, v0: Any, row: int, width: int) -> None:
    """What lies in the workspace, + v + v0."""
    for d in range(0, width, LANES):
        value = load(w, place + d) + load(v, row + d)
        store(w, place + d, value + load(v0, row + d) if len(v0) else value)


@njit(cache=True, nogil=True)
def forward(w: Any, at: Any, scale: float, row_HCc: Any, weights: Any, v: Any, v0: Any, u: Any, out: Any) -> None:
    """Makes u = y E summed over heads and out = LN(v + LN(u) + v0), all [t, D] as one row of numbers; v0 may be empty."""
    width = at.width
    u[:] = 0
    for h in range(len(row_HCc)):
        _take_weights(w, at, h, weights)
        _prepare(w, at)
        for row_c in row_HCc[h]:
            _gather(w, at.v_cD, width, row_c, v)
            _look(w, at, scale)
            _scatter(w, at.u_cD, width, row_c, u)
    for row in range(0, len(v), width):
        _standard(u, row, w, at.v_cD, width)
        _join(w, at.v_cD, v, v0, row, width)
        _standard(w, at.v_cD, out, row, width)


@njit(cache=True, nogil=True)
def _close_back(w: Any, at: Any, v: Any, v0: Any, u: Any, grad: Any, dv: Any, du: Any) -> None:
    """From the gradient of LN(v + LN(u) + v0): that of v and v0, and that of u."""
    width, normal, joined = at.width, at.u_cD, at.v_cD
    for row in range(0, len(v), width):
        scale = _standard(u, row, w, normal, width)
        for d in range(0, width, LANES):
            store(w, joined + d, load(w, normal + d))
        _join(w, joined, v, v0, row, width)
        _standard_back(grad, row, w, joined, _standard(w, joined, w, joined, width), dv, row, width)
        _standard_back(dv, row, w, normal, scale, du, row, width)


@njit(cache=True, nogil=True)
def backward(w: Any, at: Any, scale: float, row_HCc: Any, weights: Any, given: Any, made: Any) -> None:
    """From v, v0, u and the gradient of `forward`'s out: those of v, v0, u (before the heads' share) and the weights, [H, 3, N, D], Dx and Dy turned."""
    (v, v0, u, grad), (dv, dv0, du, part_H3ND) = given, made
    end = at.grad_3ND + 3 * at.width * at.neurons
    _close_back(w, at, v, v0, u, grad, dv, du)
    if len(v0):
        dv0[:] = dv
    for h in range(len(row_HCc)):
        _take_weights(w, at, h, weights)
        _prepare(w, at)
        w[at.grad_3ND : end] = 0
        for row_c in row_HCc[h]:
            _gather(w, at.v_cD, at.width, row_c, v)
            _gather(w, at.u_cD, at.width, row_c, du)
            _back(w, at, scale)
            _scatter(w, at.u_cD, at.width, row_c, dv)
        part_H3ND[h] = w[at.grad_3ND : end].reshape(3, at.neurons, at.width)

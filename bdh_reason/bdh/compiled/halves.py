"""`chunks` with bf16 factors in every product with weights and in the scores; sums, LN, the attention's other products and v stay float32.

Small letters stand for halved axes: n, d and p count pairs of neighbours in N, D and of tokens (`halftiles` has the reading of both).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bdh_reason.bdh.compiled.chunks import GROUPS, mirror, normalise, normalise_back
from bdh_reason.bdh.compiled.halftiles import across, mix, scores
from bdh_reason.compiled.lanes import LANES, load, paired, store
from bdh_reason.compiled.tiles import ADD, GATE, RELU, SET, SPLIT, each, pairs, transpose


class Places(NamedTuple):
    """As in `chunks`; `t_stride` is between rows of [N, p]."""

    width: int
    neurons: int
    members: int
    columns: int
    stride: int
    t_stride: int
    Dx_DN: int
    Dy_DN: int
    E_ND: int
    grad_3ND: int  # of Dx turned, of Dy turned, of E
    turned: int
    Dx_dN: int
    Dy_dN: int
    E_dN: int
    Dx_nD: int
    Dy_nD: int
    E_nD: int
    v_cD: int
    v_Dc: int
    v_dc: int
    v_pD: int
    a_cD: int
    a_Dc: int
    a_dc: int
    a_pD: int
    u_cD: int
    u_Dc: int
    u_dc: int
    u_pD: int
    scale_c: int
    score_kk: int
    slope_kk: int
    y_nc: int  # these four in this order, and the last three
    x_nc: int
    z_nc: int
    dx_nc: int
    y_Np: int
    z_Np: int
    dx_Np: int
    size: int


def places(width: int, neurons: int, members: int) -> Places:
    """The workspace of a chunk, in floats."""
    columns, t_stride = members * GROUPS, (members | 1) * LANES
    stride, weight, pairs_kk = columns + LANES, width * neurons, members * members * GROUPS
    rows, turned, wide = columns * width, stride * width, stride * neurons // 2
    sizes = [weight] * 3 + [3 * weight, weight] + [weight // 2] * 6 + [rows, turned, turned // 2, rows // 2] * 3 + [stride]
    ends = np.cumsum([0, *sizes, *[pairs_kk] * 2, *[wide] * 4, *[t_stride * neurons] * 3]).tolist()
    return Places(width, neurons, members, columns, stride, t_stride, *ends)


@njit(cache=True, nogil=True)
def _pair(w: Any, source: int, stride: int, apart: int, count: int, width: int, target: int, step: int) -> None:
    """Rows side by side: `count` pairs of a row and the one `apart` rows below, which are the first half of every 2 `apart` rows."""
    for row in range(count):
        first = source + (row // apart * 2 * apart + row % apart) * stride
        for c in range(0, width, LANES):
            store(w, target + row * step + c, paired(load(w, first + c), load(w, first + apart * stride + c)))


@njit(cache=True, nogil=True)
def prepare(w: Any, at: Places) -> None:
    """A head's weights in pairs, along D for products over D and along N for products over N."""
    d, n = at.width, at.neurons
    for index in range(2):
        weight, along_d, along_n = at.Dx_DN + index * d * n, at.Dx_dN + index * d * n // 2, at.Dx_nD + index * d * n // 2
        transpose(w, weight, n, d, n, at.turned, d)
        _pair(w, weight, n, 1, d // 2, n, along_d, n)
        _pair(w, at.turned, d, 1, n // 2, d, along_n, d)
    transpose(w, at.E_ND, d, n, d, at.turned, n)
    _pair(w, at.turned, n, 1, d // 2, n, at.E_dN, n)
    _pair(w, at.E_ND, d, 1, n // 2, d, at.E_nD, d)


@njit(cache=True, nogil=True)
def _up(w: Any, at: Places, weight_dN: int, b_dc: int, c_nc: int, how: int) -> None:
    """From D to N: relu, gate or split, in pairs of rows."""
    gap, t_gap = at.x_nc - at.y_nc, at.z_Np - at.y_Np
    vectors = at.columns // LANES
    mix(w, weight_dN, 1, at.neurons, b_dc, at.stride, c_nc, at.stride, at.neurons, vectors, at.width // 2, how, gap, at.y_Np, at.t_stride, t_gap)


@njit(cache=True, nogil=True)
def _down(w: Any, at: Places, weight_nD: int, b_nc: int, c_Dc: int, how: int) -> None:
    """From N to D, in float32."""
    mix(w, weight_nD, 1, at.width, b_nc, at.stride, c_Dc, at.stride, at.width, at.columns // LANES, at.neurons // 2, how, 0, 0, 0, 0)


@njit(cache=True, nogil=True)
def _learn(w: Any, at: Places, index: int, a_Np: int, b_pD: int) -> None:
    """One of the weights' gradients."""
    c, d = at.grad_3ND + index * at.width * at.neurons, at.width
    mix(w, a_Np, at.t_stride, 1, b_pD, d, c, d, at.neurons, d // LANES, at.columns // 2, ADD, 0, 0, 0, 0)


@njit(cache=True, nogil=True)
def _read(w: Any, at: Places, scale: float) -> None:
    """From v: x = relu(v Dx), the scores in the groups, a and LN(a)."""
    k, step = at.members, at.stride
    transpose(w, at.v_cD, at.width, at.columns, at.width, at.v_Dc, step)
    _pair(w, at.v_Dc, step, 1, at.width // 2, at.columns, at.v_dc, step)
    _up(w, at, at.Dx_dN, at.v_dc, at.x_nc, RELU)
    for half in range(2):
        lane, score_kk = half * LANES, at.score_kk + half * k * k * LANES
        scores(w, at.x_nc + lane, step, GROUPS, score_kk, k, at.neurons // 2)
        mirror(w, score_kk, k, scale, False)
        each(w, score_kk, k * LANES, LANES, at.v_Dc + lane, GROUPS, step, at.a_Dc + lane, GROUPS, step, k, at.width, k, SET, 0)
    normalise(w, at)
    _pair(w, at.a_Dc, step, 1, at.width // 2, at.columns, at.a_dc, step)


@njit(cache=True, nogil=True)
def look(w: Any, at: Places, scale: float) -> None:
    """From v: what the head adds, y E, in u."""
    _read(w, at, scale)
    _up(w, at, at.Dy_dN, at.a_dc, at.x_nc, GATE)
    _down(w, at, at.E_nD, at.x_nc, at.u_Dc, SET)
    transpose(w, at.u_Dc, at.stride, at.width, at.columns, at.u_cD, at.width)


@njit(cache=True, nogil=True)
def back(w: Any, at: Places, scale: float) -> None:
    """From v and, in u, the gradient of y E: the gradient of v, in u, and those of the weights, added to `grad`."""
    k, d, step, tokens = at.members, at.width, at.stride, at.columns // 2
    _read(w, at, scale)
    transpose(w, at.a_Dc, step, d, at.columns, at.a_cD, d)
    transpose(w, at.u_cD, d, at.columns, d, at.u_Dc, step)
    _pair(w, at.u_Dc, step, 1, d // 2, at.columns, at.u_dc, step)
    _up(w, at, at.Dy_dN, at.a_dc, at.y_nc, RELU)
    _up(w, at, at.E_dN, at.u_dc, at.y_nc, SPLIT)
    for rows_cD, rows_pD in ((at.v_cD, at.v_pD), (at.a_cD, at.a_pD), (at.u_cD, at.u_pD)):
        _pair(w, rows_cD, d, LANES, tokens, d, rows_pD, d)
    _learn(w, at, 2, at.y_Np, at.u_pD)
    _learn(w, at, 1, at.z_Np, at.a_pD)
    _down(w, at, at.Dy_nD, at.z_nc, at.u_Dc, SET)
    normalise_back(w, at)
    for half in range(2):
        lane, score_kk, slope_kk = half * LANES, at.score_kk + half * k * k * LANES, at.slope_kk + half * k * k * LANES
        pairs(w, at.u_Dc + lane, GROUPS, step, at.v_Dc + lane, step, GROUPS, slope_kk, k * LANES, LANES, k, d, False)
        mirror(w, slope_kk, k, scale, True)
        each(w, score_kk, k * LANES, LANES, at.u_Dc + lane, GROUPS, step, at.a_Dc + lane, GROUPS, step, k, d, k, SET, 0)
    across(w, at.slope_kk, at.x_nc, step, at.neurons, k, at.x_nc - at.y_nc, at.dx_Np, at.t_stride)
    _learn(w, at, 0, at.dx_Np, at.v_pD)
    _down(w, at, at.Dx_nD, at.dx_nc, at.a_Dc, ADD)
    transpose(w, at.a_Dc, step, d, at.columns, at.u_cD, d)

"""BDH's bound layer on a block of boards, compiled: 32 groups of one head at a time, so that everything n-wide stays in the cache. `groups` has the equations.

A chunk is 32 groups of k tokens. Its tensors lie in one workspace with the tokens side by side, member by member: the token of lane g in place j of its group
is column j·32 + g, so products inside groups are products of lanes. d-wide tensors are there twice where both readings are needed: [D, c] and [c, D].
Groups are counted through all boards of the block; where they run out, columns are zero and count for nothing.
Axes: t tokens of all boards, D width, H heads, N neurons of a head, c columns of a chunk, k members of a group, W the workspace.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bdh_reason.compiled.lanes import LANES, inverse_root, load, spread, store
from bdh_reason.compiled.tiles import ADD, GATE, PAST, RELU, SET, SPLIT, each, mix, pairs, transpose

GROUPS = 32  # of a chunk: two vectors of lanes
_VECTORS = GROUPS // LANES
EPSILON = 1e-5


class Places(NamedTuple):
    """Sizes and where things lie in the workspace; `stride` is between rows of [D, c] and [N, c], an odd number of cache lines."""

    width: int
    neurons: int
    members: int
    columns: int
    stride: int
    Dx_DN: int
    Dy_DN: int
    E_ND: int
    grad_3ND: int  # of Dx turned, of Dy turned, of E
    v_cD: int
    v_Dc: int
    a_cD: int
    a_Dc: int
    u_cD: int
    u_Dc: int
    scale_c: int
    score_kk: int
    slope_kk: int
    y_Nc: int  # these four in this order: `tiles` finds one from the other
    x_Nc: int
    z_Nc: int
    dx_Nc: int
    size: int


def places(width: int, neurons: int, members: int) -> Places:
    """The workspace of a chunk, in floats."""
    columns = members * GROUPS
    stride, weight, pairs_kk = columns + LANES, width * neurons, members * members * GROUPS
    rows, turned, wide = columns * width, stride * width, stride * neurons
    sizes = [weight] * 3 + [3 * weight] + [rows, turned] * 3 + [stride] + [pairs_kk] * 2 + [wide] * 4
    ends = np.cumsum([0, *sizes]).tolist()
    return Places(width, neurons, members, columns, stride, *ends)


@njit(cache=True, nogil=True)
def normalise(w: Any, at: Any) -> None:
    """LN(a) in place of a, and one over its deviation in `scale`."""
    share, epsilon, end = spread(np.float32(1 / at.width)), spread(np.float32(EPSILON)), at.width * at.stride
    for c in range(at.a_Dc, at.a_Dc + at.columns, LANES):
        mean, square = spread(np.float32(0)), spread(np.float32(0))
        for d in range(0, end, at.stride):
            mean = mean + load(w, c + d)
        mean = mean * share
        for d in range(0, end, at.stride):
            centred = load(w, c + d) - mean
            square = square + centred * centred
        scale = inverse_root(square * share + epsilon)
        store(w, at.scale_c + c - at.a_Dc, scale)
        for d in range(0, end, at.stride):
            store(w, c + d, (load(w, c + d) - mean) * scale)


@njit(cache=True, nogil=True)
def normalise_back(w: Any, at: Any) -> None:
    """The gradient of LN(a), in u, becomes that of a."""
    share, end, there = spread(np.float32(1 / at.width)), at.width * at.stride, at.a_Dc - at.u_Dc
    for c in range(at.u_Dc, at.u_Dc + at.columns, LANES):
        mean, along = spread(np.float32(0)), spread(np.float32(0))
        for d in range(c, c + end, at.stride):
            mean = mean + load(w, d)
            along = along + load(w, d) * load(w, d + there)
        mean, along, scale = mean * share, along * share, load(w, at.scale_c + c - at.u_Dc)
        for d in range(c, c + end, at.stride):
            store(w, d, (load(w, d) - mean - along * load(w, d + there)) * scale)


@njit(cache=True, nogil=True)
def mirror(w: Any, place: int, k: int, scale: float, both: bool) -> None:
    """Pairs above the diagonal scaled and copied below it (or, with `both`, added to those below); zeros on it."""
    factor, nothing = spread(np.float32(scale)), spread(np.float32(0))
    for i in range(k):
        store(w, place + (i * k + i) * LANES, nothing)
        for j in range(i + 1, k):
            above, below = place + (i * k + j) * LANES, place + (j * k + i) * LANES
            value = factor * (load(w, above) + (load(w, below) if both else nothing))
            store(w, above, value)
            store(w, below, value)


@njit(cache=True, nogil=True)
def _read(w: Any, at: Places, scale: float) -> None:
    """From v: x = relu(v Dx), the scores in the groups, a and LN(a)."""
    k, step, vectors = at.members, at.stride, at.columns // LANES
    transpose(w, at.v_cD, at.width, at.columns, at.width, at.v_Dc, step)
    mix(w, at.Dx_DN, 1, at.neurons, at.v_Dc, step, at.x_Nc, step, at.neurons, vectors, at.width, RELU, 0)
    for half in range(_VECTORS):
        lane, score_kk = half * LANES, at.score_kk + half * k * k * LANES
        pairs(w, at.x_Nc + lane, GROUPS, step, at.x_Nc + lane, step, GROUPS, score_kk, k * LANES, LANES, k, at.neurons, True)
        mirror(w, score_kk, k, scale, False)
        each(w, score_kk, k * LANES, LANES, at.v_Dc + lane, GROUPS, step, at.a_Dc + lane, GROUPS, step, k, at.width, k, SET, 0)
    normalise(w, at)


@njit(cache=True, nogil=True)
def look(w: Any, at: Places, scale: float) -> None:
    """From v: what the head adds, y E, in u."""
    _read(w, at, scale)
    vectors = at.columns // LANES
    mix(w, at.Dy_DN, 1, at.neurons, at.a_Dc, at.stride, at.x_Nc, at.stride, at.neurons, vectors, at.width, GATE, 0)
    mix(w, at.E_ND, 1, at.width, at.x_Nc, at.stride, at.u_Dc, at.stride, at.width, vectors, at.neurons, SET, 0)
    transpose(w, at.u_Dc, at.stride, at.width, at.columns, at.u_cD, at.width)


@njit(cache=True, nogil=True)
def back(w: Any, at: Places, scale: float) -> None:
    """From v and, in u, the gradient of y E: the gradient of v, in u, and those of the weights, added to `grad`."""
    k, d, n, step, vectors, weight = at.members, at.width, at.neurons, at.stride, at.columns // LANES, at.width * at.neurons
    gap = at.x_Nc - at.y_Nc
    _read(w, at, scale)
    transpose(w, at.a_Dc, step, d, at.columns, at.a_cD, d)
    transpose(w, at.u_cD, d, at.columns, d, at.u_Dc, step)
    mix(w, at.Dy_DN, 1, n, at.a_Dc, step, at.y_Nc, step, n, vectors, d, RELU, 0)
    mix(w, at.E_ND, d, 1, at.u_Dc, step, at.y_Nc, step, n, vectors, d, SPLIT, gap)
    mix(w, at.y_Nc, step, 1, at.u_cD, d, at.grad_3ND + 2 * weight, d, n, d // LANES, at.columns, ADD, 0)
    mix(w, at.z_Nc, step, 1, at.a_cD, d, at.grad_3ND + weight, d, n, d // LANES, at.columns, ADD, 0)
    mix(w, at.Dy_DN, n, 1, at.z_Nc, step, at.u_Dc, step, d, vectors, n, SET, 0)
    normalise_back(w, at)
    for half in range(_VECTORS):
        lane, score_kk, slope_kk = half * LANES, at.score_kk + half * k * k * LANES, at.slope_kk + half * k * k * LANES
        pairs(w, at.u_Dc + lane, GROUPS, step, at.v_Dc + lane, step, GROUPS, slope_kk, k * LANES, LANES, k, d, False)
        mirror(w, slope_kk, k, scale, True)
        each(w, slope_kk, k * LANES, LANES, at.x_Nc + lane, GROUPS, step, at.dx_Nc + lane, GROUPS, step, k, n, k, PAST, gap)
        each(w, score_kk, k * LANES, LANES, at.u_Dc + lane, GROUPS, step, at.a_Dc + lane, GROUPS, step, k, d, k, SET, 0)
    mix(w, at.dx_Nc, step, 1, at.v_cD, d, at.grad_3ND, d, n, d // LANES, at.columns, ADD, 0)
    mix(w, at.Dx_DN, n, 1, at.dx_Nc, step, at.a_Dc, step, d, vectors, n, ADD, 0)
    transpose(w, at.a_Dc, step, d, at.columns, at.u_cD, d)

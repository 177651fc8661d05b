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

from bdh_reason.bdh.tiles import ADD, GATE, LANES, PAST, RELU, SET, SPLIT, each, mix, pairs, transpose

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
    sum_c: int
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
    sizes = [weight] * 3 + [3 * weight] + [rows, turned] * 3 + [stride] * 2 + [pairs_kk] * 2 + [wide] * 4
    ends = np.cumsum([0, *sizes]).tolist()
    return Places(width, neurons, members, columns, stride, *ends)


@njit(cache=True, nogil=True)
def _choose(row_c: Any, order_t: Any, at: Places, group: int, groups: int) -> None:
    """The token of each column, -1 for none, of the chunk that begins with `group` of the block's `groups`."""
    k = at.members
    per_board = len(order_t) // k
    for lane in range(GROUPS):
        board, place = divmod(group + lane, per_board)
        for j in range(k):
            row_c[j * GROUPS + lane] = board * len(order_t) + order_t[place * k + j] if group + lane < groups else -1


@njit(cache=True, nogil=True)
def _gather(w: Any, place: int, width: int, row_c: Any, source_tD: Any) -> None:
    for c in range(len(row_c)):
        start = place + c * width
        if row_c[c] < 0:
            w[start : start + width] = 0
        else:
            w[start : start + width] = source_tD[row_c[c]]


@njit(cache=True, nogil=True)
def _scatter(w: Any, place: int, width: int, row_c: Any, target_tD: Any) -> None:
    for c in range(len(row_c)):
        if row_c[c] >= 0:
            target_tD[row_c[c]] += w[place + c * width : place + (c + 1) * width]


@njit(cache=True, nogil=True, fastmath=True)
def _normalise(w: Any, at: Places) -> None:
    """a <- LN(a), and one over its deviation in `scale`."""
    sum_c, scale_c = w[at.sum_c : at.sum_c + at.columns], w[at.scale_c : at.scale_c + at.columns]
    sum_c[:] = 0
    scale_c[:] = 0
    for d in range(at.width):
        start = at.a_Dc + d * at.stride
        for c in range(at.columns):
            sum_c[c] += w[start + c]
    share = np.float32(1 / at.width)
    for c in range(at.columns):
        sum_c[c] *= share
    for d in range(at.width):
        start = at.a_Dc + d * at.stride
        for c in range(at.columns):
            scale_c[c] += (w[start + c] - sum_c[c]) ** 2
    for c in range(at.columns):
        scale_c[c] = np.float32(1) / np.sqrt(scale_c[c] * share + np.float32(EPSILON))
    for d in range(at.width):
        start = at.a_Dc + d * at.stride
        for c in range(at.columns):
            w[start + c] = (w[start + c] - sum_c[c]) * scale_c[c]


@njit(cache=True, nogil=True, fastmath=True)
def _normalise_back(w: Any, at: Places, mean_c: Any, along_c: Any) -> None:
    """u, the gradient of LN(a), becomes that of a."""
    scale_c = w[at.scale_c : at.scale_c + at.columns]
    mean_c[:] = 0
    along_c[:] = 0
    for d in range(at.width):
        start, there = at.u_Dc + d * at.stride, at.a_Dc + d * at.stride
        for c in range(at.columns):
            mean_c[c] += w[start + c]
            along_c[c] += w[start + c] * w[there + c]
    share = np.float32(1 / at.width)
    for d in range(at.width):
        start, there = at.u_Dc + d * at.stride, at.a_Dc + d * at.stride
        for c in range(at.columns):
            w[start + c] = (w[start + c] - share * mean_c[c] - share * along_c[c] * w[there + c]) * scale_c[c]


@njit(cache=True, nogil=True)
def _mirror(w: Any, place: int, k: int, scale: float, both: bool) -> None:
    """Pairs above the diagonal scaled and copied below it (or, with `both`, added to those below); zeros on it."""
    factor = np.float32(scale)
    for i in range(k):
        for g in range(LANES):
            w[place + (i * k + i) * LANES + g] = 0
        for j in range(i + 1, k):
            above, below = place + (i * k + j) * LANES, place + (j * k + i) * LANES
            for g in range(LANES):
                value = factor * (w[above + g] + w[below + g] if both else w[above + g])
                w[above + g] = value
                w[below + g] = value


@njit(cache=True, nogil=True)
def _read(w: Any, at: Places, scale: float) -> None:
    """From v: x = relu(v Dx), the scores in the groups, a and LN(a)."""
    k, step, vectors = at.members, at.stride, at.columns // LANES
    transpose(w, at.v_cD, at.width, at.columns, at.width, at.v_Dc, step)
    mix(w, at.Dx_DN, 1, at.neurons, at.v_Dc, step, at.x_Nc, step, at.neurons, vectors, at.width, RELU, 0)
    for half in range(_VECTORS):
        lane, score_kk = half * LANES, at.score_kk + half * k * k * LANES
        pairs(w, at.x_Nc + lane, GROUPS, step, at.x_Nc + lane, step, GROUPS, score_kk, k * LANES, LANES, k, at.neurons, True)
        _mirror(w, score_kk, k, scale, False)
        each(w, score_kk, k * LANES, LANES, at.v_Dc + lane, GROUPS, step, at.a_Dc + lane, GROUPS, step, k, at.width, k, SET, 0)
    _normalise(w, at)


@njit(cache=True, nogil=True)
def _write(w: Any, at: Places) -> None:
    """From x and LN(a): what the head adds, y E; x is lost."""
    vectors = at.columns // LANES
    mix(w, at.Dy_DN, 1, at.neurons, at.a_Dc, at.stride, at.x_Nc, at.stride, at.neurons, vectors, at.width, GATE, 0)
    mix(w, at.E_ND, 1, at.width, at.x_Nc, at.stride, at.u_Dc, at.stride, at.width, vectors, at.neurons, SET, 0)
    transpose(w, at.u_Dc, at.stride, at.width, at.columns, at.u_cD, at.width)


@njit(cache=True, nogil=True)
def _back(w: Any, at: Places, scale: float) -> None:
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
    _normalise_back(w, at, w[at.sum_c : at.sum_c + at.columns], w[at.u_cD : at.u_cD + at.columns])
    for half in range(_VECTORS):
        lane, score_kk, slope_kk = half * LANES, at.score_kk + half * k * k * LANES, at.slope_kk + half * k * k * LANES
        pairs(w, at.u_Dc + lane, GROUPS, step, at.v_Dc + lane, step, GROUPS, slope_kk, k * LANES, LANES, k, d, False)
        _mirror(w, slope_kk, k, scale, True)
        each(w, slope_kk, k * LANES, LANES, at.x_Nc + lane, GROUPS, step, at.dx_Nc + lane, GROUPS, step, k, n, k, PAST, gap)
        each(w, score_kk, k * LANES, LANES, at.u_Dc + lane, GROUPS, step, at.a_Dc + lane, GROUPS, step, k, d, k, SET, 0)
    mix(w, at.dx_Nc, step, 1, at.v_cD, d, at.grad_3ND, d, n, d // LANES, at.columns, ADD, 0)
    mix(w, at.Dx_DN, n, 1, at.dx_Nc, step, at.a_Dc, step, d, vectors, n, ADD, 0)
    transpose(w, at.a_Dc, step, d, at.columns, at.u_cD, d)


@njit(cache=True, nogil=True)
def _take_weights(w: Any, at: Places, Dx_DN: Any, Dy_DN: Any, E_ND: Any) -> None:
    weight = at.width * at.neurons
    w[at.Dx_DN : at.Dx_DN + weight] = Dx_DN.ravel()
    w[at.Dy_DN : at.Dy_DN + weight] = Dy_DN.ravel()
    w[at.E_ND : at.E_ND + weight] = E_ND.ravel()


@njit(cache=True, nogil=True, fastmath=True)
def _standard(given_D: Any, out_D: Any) -> float:
    """out <- LN(given); returns one over the deviation."""
    size = len(given_D)
    share, total, square = np.float32(1 / size), np.float32(0), np.float32(0)
    for d in range(size):
        total += given_D[d]
    mean = total * share
    for d in range(size):
        square += (given_D[d] - mean) ** 2
    scale = np.float32(1) / np.sqrt(square * share + np.float32(EPSILON))
    for d in range(size):
        out_D[d] = (given_D[d] - mean) * scale
    return scale


@njit(cache=True, nogil=True, fastmath=True)
def _standard_back(grad_D: Any, normal_D: Any, scale: float, out_D: Any) -> None:
    """The gradient of LN's input from that of its output."""
    size = len(grad_D)
    share, total, along = np.float32(1 / size), np.float32(0), np.float32(0)
    for d in range(size):
        total += grad_D[d]
        along += grad_D[d] * normal_D[d]
    for d in range(size):
        out_D[d] = (grad_D[d] - share * total - share * along * normal_D[d]) * scale


@njit(cache=True, nogil=True)
def forward(w: Any, at: Places, scale: float, order_Ht: Any, v_tD: Any, v0_tD: Any, Dx_HDN: Any, Dy_HDN: Any, E_HND: Any, u_tD: Any, out_tD: Any) -> None:
    """u = y E summed over heads, out = LN(v + LN(u) + v0); v0 may be empty."""
    row_c, groups = np.empty(at.columns, np.int64), len(v_tD) // at.members
    u_tD[:] = 0
    for h in range(len(Dx_HDN)):
        _take_weights(w, at, Dx_HDN[h], Dy_HDN[h], E_HND[h])
        for group in range(0, groups, GROUPS):
            _choose(row_c, order_Ht[h], at, group, groups)
            _gather(w, at.v_cD, at.width, row_c, v_tD)
            _read(w, at, scale)
            _write(w, at)
            _scatter(w, at.u_cD, at.width, row_c, u_tD)
    for t in range(len(v_tD)):
        _standard(u_tD[t], out_tD[t])
        for d in range(at.width):
            out_tD[t, d] += v_tD[t, d] + (v0_tD[t, d] if len(v0_tD) else np.float32(0))
        _standard(out_tD[t], out_tD[t])


@njit(cache=True, nogil=True)
def _close_back(v_tD: Any, v0_tD: Any, u_tD: Any, grad_tD: Any, dv_tD: Any, du_tD: Any) -> None:
    """From the gradient of LN(v + LN(u) + v0): that of v and v0, and that of u."""
    normal_D, sum_D = np.empty(v_tD.shape[1], np.float32), np.empty(v_tD.shape[1], np.float32)
    for t in range(len(v_tD)):
        scale = _standard(u_tD[t], normal_D)
        for d in range(len(sum_D)):
            sum_D[d] = normal_D[d] + v_tD[t, d] + (v0_tD[t, d] if len(v0_tD) else np.float32(0))
        _standard_back(grad_tD[t], sum_D, _standard(sum_D, sum_D), dv_tD[t])
        _standard_back(dv_tD[t], normal_D, scale, du_tD[t])


@njit(cache=True, nogil=True)
def backward(
    w: Any, at: Places, scale: float, order_Ht: Any, v_tD: Any, v0_tD: Any, Dx_HDN: Any, Dy_HDN: Any, E_HND: Any, u_tD: Any, grad_tD: Any,
    dv_tD: Any, dv0_tD: Any, du_tD: Any, part_H3ND: Any,
) -> None:  # fmt: skip
    """From the gradient of `forward`'s out: those of v and v0, and of the weights in `part`, Dx and Dy turned; du is scratch."""
    row_c, groups, weights = np.empty(at.columns, np.int64), len(v_tD) // at.members, 3 * at.width * at.neurons
    _close_back(v_tD, v0_tD, u_tD, grad_tD, dv_tD, du_tD)
    if len(v0_tD):
        dv0_tD[:] = dv_tD
    for h in range(len(Dx_HDN)):
        _take_weights(w, at, Dx_HDN[h], Dy_HDN[h], E_HND[h])
        w[at.grad_3ND : at.grad_3ND + weights] = 0
        for group in range(0, groups, GROUPS):
            _choose(row_c, order_Ht[h], at, group, groups)
            _gather(w, at.v_cD, at.width, row_c, v_tD)
            _gather(w, at.u_cD, at.width, row_c, du_tD)
            _back(w, at, scale)
            _scatter(w, at.u_cD, at.width, row_c, dv_tD)
        part_H3ND[h] = w[at.grad_3ND : at.grad_3ND + weights].reshape(3, at.neurons, at.width)

"""Softmax attention inside groups of k tokens, forwards and backwards, compiled: 16 groups of a head at a time, side by side in a processor's registers.

    p_ij = softmax over j of q_i · k_j / sqrt K        a_i = sum over j of p_ij v_j

    p'_ij = a'_i · v_j        v'_j = sum over i of p_ij a'_i        s_ij = p_ij (p'_ij - sum over j of p_ij p'_ij) / sqrt K
    q'_i = sum over j of s_ij k_j                      k'_j = sum over i of s_ij q_i

The 16 groups are a chunk. Its tensors lie in one workspace with the tokens side by side, member by member: the token of lane g in place j of its group is
column j·16 + g. Sums are float32; tokens come and go as float32 or as the bits of bf16. q, k and v are parts of one row for each token, all heads of q first.
Axes: M tokens of all boards, H heads, K width of a head, C chunks, c columns of a chunk, k members of a group.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bdh_reason.compiled import keep_by_content
from bdh_reason.compiled.lanes import LANES, larger, load, power, put, spread, store, take
from bdh_reason.compiled.tiles import SET, each, pairs, transpose

keep_by_content(Path(__file__).parent)
LOG2_E = 1.4426950408889634


class Places(NamedTuple):
    """Sizes and where things lie in the workspace; `stride` is between rows of [K, c], an odd number of cache lines."""

    heads: int
    width: int
    members: int
    columns: int
    stride: int
    row_c3K: int
    qkv_3Kc: int
    a_Kc: int  # and the gradients of q, k and v
    p_kk: int
    s_kk: int  # as far from p as p is long
    size: int


def places(heads: int, width: int, members: int) -> Places:
    """The workspace of a chunk, in floats."""
    columns, wide = members * LANES, -(-3 * width // LANES) * LANES
    stride, pairs_kk = columns + LANES, members * members * LANES
    ends = np.cumsum([0, columns * wide + LANES, stride * wide, stride * wide, pairs_kk, pairs_kk]).tolist()
    return Places(heads, width, members, columns, stride, *ends)


def rows(order_Ht: np.ndarray, boards: int, k: int) -> np.ndarray:
    """The token of each column of each head's chunks in so many boards, int64 [H, C, c]; -1 for none. `order` puts groups of k side by side."""
    heads, tokens = order_Ht.shape
    row_Hgk = (order_Ht[:, None] + tokens * np.arange(boards)[:, None]).reshape(heads, -1, k)
    row_Hgk = np.pad(row_Hgk, ((0, 0), (0, -row_Hgk.shape[1] % LANES), (0, 0)), constant_values=-1)
    return np.ascontiguousarray(row_Hgk.reshape(heads, -1, LANES, k).swapaxes(2, 3)).reshape(heads, -1, k * LANES)


@njit(cache=True, nogil=True)
def _gather(w: Any, at: Places, h: int, row_c: Any, source: Any, parts: int, target: int) -> None:
    """One head's columns of each part (q, k and v, or one alone) of the chunk's tokens, as [parts K, c]; zeros for no token."""
    d, wide = at.heads * at.width, (parts * at.width + LANES - 1) // LANES * LANES
    for c in range(at.columns):
        for part in range(parts):
            start, place = (row_c[c] * parts + part) * d + h * at.width, at.row_c3K + c * wide + part * at.width
            for x in range(0, at.width, LANES):  # what goes over the part's end, the next part or row will write over
                store(w, place + x, take(source, start + x, min(LANES, at.width - x)) if row_c[c] >= 0 else spread(np.float32(0)))
    transpose(w, at.row_c3K, wide, at.columns, wide, target, at.stride)


@njit(cache=True, nogil=True)
def _scatter(w: Any, at: Places, h: int, row_c: Any, source: int, parts: int, target: Any) -> None:
    """The way back from `_gather`."""
    d, wide = at.heads * at.width, (parts * at.width + LANES - 1) // LANES * LANES
    transpose(w, source, at.stride, wide, at.columns, at.row_c3K, wide)
    for c in range(at.columns):
        for part in range(parts if row_c[c] >= 0 else 0):
            start, place = (row_c[c] * parts + part) * d + h * at.width, at.row_c3K + c * wide + part * at.width
            for x in range(0, at.width, LANES):
                put(target, start + x, min(LANES, at.width - x), load(w, place + x))


@njit(cache=True, nogil=True)
def _softmax(w: Any, at: Places) -> None:
    """The probabilities p, from q and k."""
    k, step, one = at.members, at.stride, spread(np.float32(1))
    pairs(w, at.qkv_3Kc, LANES, step, at.qkv_3Kc + at.width * step, step, LANES, at.p_kk, k * LANES, LANES, k, at.width, False)
    scale = spread(np.float32(LOG2_E / np.sqrt(at.width)))
    for row in range(at.p_kk, at.s_kk, k * LANES):
        most, sum_ = load(w, row), spread(np.float32(0))
        for place in range(row + LANES, row + k * LANES, LANES):
            most = larger(most, load(w, place))
        for place in range(row, row + k * LANES, LANES):
            store(w, place, power((load(w, place) - most) * scale))
            sum_ = sum_ + load(w, place)
        share = one / sum_
        for place in range(row, row + k * LANES, LANES):
            store(w, place, load(w, place) * share)


@njit(cache=True, nogil=True)
def _softmax_back(w: Any, at: Places) -> None:
    """What s is, in place of p'."""
    k, gap, scale = at.members, at.s_kk - at.p_kk, spread(np.float32(1 / np.sqrt(at.width)))
    for row in range(at.p_kk, at.s_kk, k * LANES):
        along = spread(np.float32(0))
        for place in range(row, row + k * LANES, LANES):
            along = along + load(w, place) * load(w, place + gap)
        for place in range(row, row + k * LANES, LANES):
            store(w, place + gap, (load(w, place + gap) - along) * load(w, place) * scale)


@njit(cache=True, nogil=True)
def _mixed(w: Any, at: Places, weight_kk: int, turned: bool, source_Kc: int, target_Kc: int) -> None:
    """target_i = sum over j of weight_ij source_j, or of weight_ji."""
    k, step = at.members, at.stride
    first, second = (LANES, k * LANES) if turned else (k * LANES, LANES)
    each(w, weight_kk, first, second, source_Kc, LANES, step, target_Kc, LANES, step, k, at.width, k, SET, 0)


@njit(cache=True, nogil=True)
def _approach(w: Any, at: Places, chunk: int, chunks: int, source: Any) -> None:
    """Reads a chunk's share of an array in its order, so that it comes from the cache when it is gathered in another: that is twice as fast."""
    seen, share = source[0], len(source) // chunks
    for place in range(share * chunk, min(share * (chunk + 1), len(source)), LANES):
        seen += source[place]
    w[at.p_kk] = seen  # where something else is written next; what nobody kept would not be read


@njit(cache=True, nogil=True)
def forward(w: Any, at: Places, row_HCc: Any, qkv_M3HK: Any, a_MHK: Any) -> None:
    """Makes a from q, k and v; both one row of numbers."""
    for chunk in range(row_HCc.shape[1]):  # heads inside, so that a board is read from memory once
        _approach(w, at, chunk + 1, row_HCc.shape[1], qkv_M3HK)
        for h in range(at.heads):
            row_c = row_HCc[h, chunk]
            _gather(w, at, h, row_c, qkv_M3HK, 3, at.qkv_3Kc)
            _softmax(w, at)
            _mixed(w, at, at.p_kk, False, at.qkv_3Kc + 2 * at.width * at.stride, at.a_Kc)
            _scatter(w, at, h, row_c, at.a_Kc, 1, a_MHK)


@njit(cache=True, nogil=True)
def backward(w: Any, at: Places, row_HCc: Any, qkv_M3HK: Any, grad_MHK: Any, made_M3HK: Any) -> None:
    """Makes the gradients of q, k and v from that of a."""
    k, step, part = at.members, at.stride, at.width * at.stride
    for chunk in range(row_HCc.shape[1]):
        _approach(w, at, chunk + 1, row_HCc.shape[1], qkv_M3HK)
        _approach(w, at, chunk + 1, row_HCc.shape[1], grad_MHK)
        for h in range(at.heads):
            row_c = row_HCc[h, chunk]
            _gather(w, at, h, row_c, grad_MHK, 1, at.a_Kc)
            _gather(w, at, h, row_c, qkv_M3HK, 3, at.qkv_3Kc)
            _softmax(w, at)
            pairs(w, at.a_Kc, LANES, step, at.qkv_3Kc + 2 * part, step, LANES, at.s_kk, k * LANES, LANES, k, at.width, False)
            _softmax_back(w, at)
            _mixed(w, at, at.p_kk, True, at.a_Kc, at.a_Kc + 2 * part)
            _mixed(w, at, at.s_kk, True, at.qkv_3Kc, at.a_Kc + part)
            _mixed(w, at, at.s_kk, False, at.qkv_3Kc + part, at.a_Kc)
            _scatter(w, at, h, row_c, at.a_Kc, 3, made_M3HK)

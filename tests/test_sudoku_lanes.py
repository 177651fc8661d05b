"""The vector type against numpy on the same 36 words."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from numba import njit

from tasks.sudoku import lanes
from tests.strategies import seeds


@njit
def _operators(a_W, b_W, out_KW):
    a, b = lanes.load(a_W, 0), lanes.load(b_W, 0)
    for k, value in enumerate((a & b, a | b, a ^ b, a + b, a - b, ~a, a << 3, a >> 3, a & 5, lanes.next_band(a), lanes.every(b_W, 8))):
        lanes.store(out_KW[k], 0, value)


@njit
def _tally(a_W, out_KW):
    levels = lanes.tally(lanes.load(a_W, 0))
    for k in range(9):
        lanes.store(out_KW[k], 0, levels[k])


@njit
def _numbers(a_W, selected_W):
    a = lanes.load(a_W, 0)
    lanes.store(selected_W, 0, lanes.select(lanes.nonzero(a)))
    return lanes.nonzero(a), lanes.count(a), lanes.word(a, 2), lanes.lowest(lanes.nonzero(a))


def words(seed: int) -> np.ndarray:
    """Random words, a third of them zero."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(lanes.WORDS) < 1 / 3, 0, rng.integers(0, 2**32, lanes.WORDS)).astype(np.uint32)


@given(seeds)
def test_operators_work_lane_by_lane(seed):
    a_W, b_W, out_KW = words(seed), words(seed + 1), np.zeros((11, lanes.WORDS), np.uint32)
    _operators(a_W, b_W, out_KW)
    moved_W = a_W.reshape(9, 4)[:, [1, 2, 0, 3]].ravel()
    np.testing.assert_array_equal(
        out_KW, [a_W & b_W, a_W | b_W, a_W ^ b_W, a_W + b_W, a_W - b_W, ~a_W, a_W << 3, a_W >> 3, a_W & 5, moved_W, np.tile(b_W[8:12], 9)]
    )


@given(seeds)
def test_tally_counts_the_digits_that_have_a_bit(seed):
    a_W, out_KW = words(seed), np.zeros((9, lanes.WORDS), np.uint32)
    _tally(a_W, out_KW)
    having_B4 = (a_W.reshape(9, 4)[:, None] >> np.arange(32, dtype=np.uint32)[:, None] & 1).sum(0)
    for level in range(9):
        expected_4 = ((having_B4 > level) << np.arange(32)[:, None]).sum(0)
        np.testing.assert_array_equal(out_KW[level], np.tile(expected_4, 9))


@given(seeds)
def test_lanes_become_integers_and_back(seed):
    a_W, selected_W = words(seed), np.zeros(lanes.WORDS, np.uint32)
    nonzero, count, word, lowest = _numbers(a_W, selected_W)
    assert nonzero == sum(1 << lane for lane in np.flatnonzero(a_W).tolist())
    assert lowest == np.flatnonzero(a_W)[0]
    assert count == sum(int(value).bit_count() for value in a_W)
    assert word == a_W[34]
    np.testing.assert_array_equal(selected_W, np.where(a_W > 0, 2**32 - 1, 0))

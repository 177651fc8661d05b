"""Sixteen floats as one value, against numpy and torch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from bdh_reason.compiled.lanes import LANES, larger, load, power, put, store, take

seeds = st.integers(0, 2**32 - 1)


@njit
def _reckon(a, b, larger_L, quotient_L, power_L):
    store(larger_L, 0, larger(load(a, 0), load(b, 0)))
    store(quotient_L, 0, load(a, 0) / load(b, 0))
    store(power_L, 0, power(load(a, 0)))


@njit
def _move(source, start, count, target, place, how_many):
    put(target, place, how_many, take(source, start, count))


def bits(tensor):
    return tensor.view(torch.int16).numpy()


@given(seeds)
def test_numbers_are_reckoned_with_lane_by_lane(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-130, 127, (2, LANES)).astype(np.float32)
    out = np.empty((3, LANES), np.float32)
    _reckon(a, b, *out)
    np.testing.assert_array_equal(out[0], np.maximum(a, b))
    np.testing.assert_array_equal(out[1], a / b)
    np.testing.assert_allclose(out[2], np.exp2(np.maximum(a, -126).astype(np.float64)), rtol=3e-7)


def test_what_is_not_a_number_stays_so_and_nothing_else_becomes_so():
    a = np.array([np.nan, -np.inf, -1e30, 0, -0.0, 1, -1, 0.5, *[127] * 8], np.float32)
    out = np.empty((3, LANES), np.float32)
    _reckon(a, np.ones(LANES, np.float32), *out)
    assert np.isnan(out[2, 0])
    np.testing.assert_allclose(out[2, 1:8], [2.0**-126, 2.0**-126, 1, 1, 2, 0.5, 2**0.5], rtol=3e-7)


@pytest.mark.parametrize("dtypes", [(one, other) for one in (torch.float32, torch.bfloat16) for other in (torch.float32, torch.bfloat16)], ids=str)
@given(seed=seeds, start=st.integers(0, 5), count=st.integers(0, 16), place=st.integers(0, 5), how_many=st.integers(0, 16))
def test_some_numbers_move_with_torchs_rounding_and_their_neighbours_stay(dtypes, seed, start, count, place, how_many):
    numbers = torch.from_numpy(np.random.default_rng(seed).standard_normal((2, 21)) * 10.0 ** np.arange(-10, 11)).float()
    source, target = (row.to(dtype) for row, dtype in zip(numbers, dtypes))
    expected, moved = target.clone(), torch.zeros(16, dtype=dtypes[0])
    moved[:count] = source[start : start + count]
    expected[place : place + how_many] = moved[:how_many].to(dtypes[1])
    rows = [bits(row) if row.dtype == torch.bfloat16 else row.numpy() for row in (source, target)]
    _move(rows[0], start, min(count, 21 - start), rows[1], place, min(how_many, 21 - place))
    assert torch.equal(target, expected)

"""The search against trying everything."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds

from bdh_reason.errors import UserError
from bdh_reason.rng import generator
from bdh_reason.search import NONE, dig, fill, network, obeyed, solve

LATIN = network(4, np.concatenate([np.arange(16).reshape(4, 4), np.arange(16).reshape(4, 4).T])[None], True)
SIX_QUEENS = [(1, 3, 5, 0, 2, 4), (2, 5, 1, 4, 0, 3), (3, 0, 4, 1, 5, 2), (4, 2, 0, 5, 3, 1)]


def queens(n):
    row_K = np.arange(n)
    shift_UK = np.stack([np.zeros_like(row_K), row_K, row_K[::-1]])
    return network(n, np.tile(row_K, (1, 3, 1)), (True, False, False), shift_UK)


def rules(net, i, value_X):
    """The rules in words: different within a unit after the shift, every value where a unit is whole, the first of a pair less."""
    units = [[int(value_X[x] + shift) for x, shift in zip(unit_K, shift_K)] for unit_K, shift_K in zip(net.unit_MUK[i], net.shift_UK)]
    whole = all(set(unit) == set(range(net.values)) for unit, whole in zip(units, net.whole_U) if whole)
    return whole and all(len(set(unit)) == len(unit) for unit in units) and all(value_X[a] < value_X[b] for a, b in net.less_MP2[i] if a != NONE)


@st.composite
def networks(draw):
    """Two networks over five variables of three values each, all of their own, with units of three that may be whole or shifted, and pairs."""
    rng = np.random.default_rng(draw(seeds))
    units, whole = draw(st.integers(0, 3)), draw(st.booleans())
    unit_MUK = np.array([[rng.permutation(5)[:3] for _ in range(units)] for _ in range(2)], np.uint16).reshape(2, units, 3)
    shift_UK = np.zeros((units, 3), np.int64) if whole else rng.integers(0, 3, (units, 3))
    less_MP2 = np.array([[rng.permutation(5)[:2] if rng.random() < 0.7 else (NONE, NONE) for _ in range(2)] for _ in range(2)])
    return network(3, unit_MUK, whole, shift_UK, less_MP2)


@given(networks(), seeds)
def test_solutions_are_counted_as_by_trying_all_values(net, seed):
    state_NX = np.random.default_rng(seed).choice([7, 7, 7, 7, 3, 5, 6, 1, 2, 4, 0], (2, 5))
    every = np.array(list(product(range(3), repeat=5)))
    for i in range(2):
        right_V = np.array([rules(net, i, value_X) and all(state >> value & 1 for state, value in zip(state_NX[i], value_X)) for value_X in every])
        for limit in (1, 2, 1000):
            solved = solve(net, state_NX, limit)
            assert solved.solutions_N[i] == min(limit, right_V.sum())
            assert not right_V.any() or solved.value_NX[i].tolist() in every[right_V].tolist()
        alone = net._replace(unit_MUK=net.unit_MUK[i : i + 1], less_MP2=net.less_MP2[i : i + 1])
        assert obeyed(alone, every).tolist() == [rules(net, i, value_X) for value_X in every]


def test_every_solution_of_six_queens_is_found_and_can_be_drawn():
    net = queens(6)
    assert solve(net, np.full((1, 6), 63), 100).solutions_N.tolist() == [4]
    assert {tuple(value_X) for value_X in fill(net, generator(0, "test"), 100).tolist()} == set(SIX_QUEENS)
    assert solve(net, np.full((1, 6), 63), 2).guesses_N[0] > 0


@pytest.mark.parametrize("net", [LATIN, queens(7)], ids=["latin", "queens"])
def test_what_is_dug_has_one_solution_and_no_clue_to_spare(net):
    rng, full = generator(0, "test"), 2**net.values - 1
    value_NX = fill(net, rng, 20)
    shown_NX = dig(net, rng, value_NX)
    state_NX = np.where(shown_NX, 1 << value_NX, full)
    solved = solve(net, state_NX, 2)
    assert obeyed(net, value_NX).all()
    assert (solved.solutions_N == 1).all()
    assert (solved.value_NX == value_NX).all()
    for i, x in np.argwhere(shown_NX):
        fewer_1X = state_NX[i : i + 1].copy()
        fewer_1X[0, x] = full
        assert solve(net, fewer_1X, 2).solutions_N.tolist() == [2]


def test_draws_are_a_function_of_the_generator():
    one, other, third = (dig(LATIN, generator(seed, "test"), fill(LATIN, generator(seed, "test"), 9)) for seed in (0, 0, 1))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, third)


def test_pairs_in_order_are_deduced_without_a_guess():
    chain_1P2 = np.array([[*pairwise(range(5))]])
    solved = solve(network(5, np.zeros((1, 0, 2)), False, less_MP2=chain_1P2), np.full((1, 5), 31), 2)
    assert solved.solutions_N.tolist() == [1]
    assert solved.guesses_N.tolist() == [0]
    assert solved.value_NX.tolist() == [[0, 1, 2, 3, 4]]


def test_what_takes_too_many_guesses_is_said_and_not_guessed():
    pigeons = np.array([[(a, b) for a in range(12) for b in range(a)]])
    with pytest.raises(UserError, match=r"problem 0 .* not decided after 1,000,000 guesses"):
        solve(network(11, pigeons, False), np.full((1, 12), 2**11 - 1), 2)

"""The difficulty: zero without guessing, the same in any batch, and steady under the symmetries that it averages over."""

from __future__ import annotations

import numpy as np

from tasks.sudoku.generator import minimal
from tasks.sudoku.rating import difficulty
from tasks.sudoku.shape import Shape
from tasks.sudoku.solver import solve
from tasks.sudoku.symmetry import transform

NINE = Shape(3, 3)


def test_what_deduction_solves_has_difficulty_zero_and_nothing_else_has():
    puzzle_NT = minimal(NINE, np.random.default_rng(0), 300)
    deduced_N = solve(NINE, puzzle_NT, limit=1).guesses_N == 0
    assert 0 < deduced_N.sum() < 300
    np.testing.assert_array_equal(difficulty(NINE, puzzle_NT) == 0, deduced_N)


def test_it_counts_until_the_first_solution():
    puzzle_NT = minimal(NINE, np.random.default_rng(6), 5000)
    first, proof = (solve(NINE, puzzle_NT, limit=limit).guesses_N.mean() for limit in (1, 2))
    assert abs(difficulty(NINE, puzzle_NT).mean() - first) < 0.4 * (proof - first)


def test_difficulty_is_the_same_in_any_batch():
    puzzle_NT = minimal(NINE, np.random.default_rng(1), 40)
    order_N = np.random.default_rng(2).permutation(40)
    np.testing.assert_array_equal(difficulty(NINE, puzzle_NT)[order_N], difficulty(NINE, puzzle_NT[order_N]))
    np.testing.assert_array_equal(difficulty(NINE, puzzle_NT[7:8]), difficulty(NINE, puzzle_NT)[7:8])


def test_it_is_a_mean_over_the_isomorphs():
    puzzle_NT = minimal(Shape(2, 4), np.random.default_rng(3), 100)
    eight_N, one_N = difficulty(Shape(2, 4), puzzle_NT), difficulty(Shape(2, 4), puzzle_NT, isomorphs=1)
    assert eight_N.dtype == np.float32
    assert (eight_N * 8 % 1 == 0).all()
    assert (one_N % 1 == 0).all()
    assert (eight_N % 1 != 0).any()


def test_averaging_takes_the_orientation_out():
    puzzle_NT = minimal(NINE, np.random.default_rng(4), 2000)
    puzzle_NT = puzzle_NT[np.argsort(difficulty(NINE, puzzle_NT))[-100:]]
    (turned_NT,) = transform(NINE, np.random.default_rng(5), puzzle_NT)
    spread = {k: np.abs(difficulty(NINE, puzzle_NT, k) - difficulty(NINE, turned_NT, k)).mean() for k in (1, 8, 64)}
    assert spread[1] > spread[8] > spread[64]

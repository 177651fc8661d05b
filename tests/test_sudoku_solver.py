"""The solver against plain backtracking, its two boards against each other, and the corners."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.errors import UserError
from tasks.sudoku import cells
from tasks.sudoku.generator import minimal
from tasks.sudoku.rules import valid
from tasks.sudoku.shape import Shape
from tasks.sudoku.solver import _solve, solve
from tests.oracles import sudoku_solutions
from tests.strategies import SHAPES, full_board, puzzles, seeds, small_shapes

NINE = Shape(3, 3)
SINGLES = "3.....6....5.....94.8.9.17..2..7..9......3........9..4.7.....36...3.68.....85...."
HARD = "7...2.3...9..........8...7.4....1..9.26....43....5.7......75..6......9..18..3...."


def grid(line: str) -> np.ndarray:
    return np.array([[0 if symbol == "." else int(symbol) for symbol in line]], np.uint8)


def changed(grid_1T: np.ndarray, n: int, rng: np.random.Generator, change: str) -> np.ndarray:
    """A puzzle with two clues fewer, or with another digit in the place of a clue."""
    given_C = rng.permutation(np.flatnonzero(grid_1T[0]))
    changed_1T = grid_1T.copy()
    if change == "fewer":
        changed_1T[0, given_C[:2]] = 0
    elif change == "wrong":
        changed_1T[0, given_C[0]] = changed_1T[0, given_C[0]] % n + 1
    return changed_1T


@given(small_shapes, seeds, st.sampled_from(["none", "fewer", "wrong"]))
def test_counts_solutions_as_plain_backtracking_does(shape, seed, change):
    rng = np.random.default_rng(seed)
    puzzle_1T = changed(minimal(shape, rng, 1), shape.n, rng, change)
    expected = list(islice(sudoku_solutions(shape.box_rows, shape.box_cols, puzzle_1T[0].tolist()), 5))
    solved = solve(shape, puzzle_1T, limit=5)
    assert solved.solutions_N == [len(expected)]
    if len(expected) < 5:
        assert solved.first_NT[0].tolist() in (expected or [[0] * shape.cells])
    assert solve(shape, puzzle_1T).solutions_N == [min(len(expected), 2)]


@given(puzzles(NINE), st.integers(0, 80), st.integers(0, 9), st.sampled_from([1, 2, 100]))
def test_both_boards_count_and_guess_and_solve_alike(puzzle_1T, cell, digit, limit):
    puzzle_1T[0, cell] = digit
    of_any_shape = cells.geometry(NINE)
    first = [np.zeros((1, 81), np.uint8) for _ in range(2)]
    counted = [_solve(geometry, puzzle_1T, limit, 10_000, kept) for geometry, kept in zip((None, of_any_shape), first)]
    np.testing.assert_array_equal(counted[0], counted[1])
    np.testing.assert_array_equal(first[0], first[1])


@pytest.mark.parametrize("change", ["none", "fewer", "wrong"])
def test_both_boards_guess_alike_on_hard_puzzles(change):
    rng = np.random.default_rng(5)
    puzzle_NT = np.concatenate([changed(puzzle_T[None], 9, rng, change) for puzzle_T in minimal(NINE, rng, 3000)])
    found = [_solve(geometry, puzzle_NT, 20, 10_000, np.zeros_like(puzzle_NT)) for geometry in (None, cells.geometry(NINE))]
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0][1].max() > 10


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.box_rows}x{shape.box_cols}")
def test_every_shape_gets_a_solution_that_obeys_the_rules_and_keeps_the_clues(shape):
    shown_NT = np.random.default_rng(0).random((3, shape.cells)) < [[0.0], [0.6], [1.0]]
    puzzle_NT = np.where(shown_NT, full_board(shape), 0).astype(np.uint8)
    solved = solve(shape, puzzle_NT, limit=1)
    assert (solved.solutions_N == 1).all()
    assert valid(shape, solved.first_NT).all()
    np.testing.assert_array_equal(np.where(shown_NT, solved.first_NT, 0), puzzle_NT)
    assert solved.guesses_N[2] == 0


@given(small_shapes, seeds)
def test_a_board_with_one_blank_needs_no_guess(shape, seed):
    full_1T = full_board(shape)
    puzzle_1T = full_1T.copy()
    puzzle_1T[0, seed % shape.cells] = 0
    solved = solve(shape, puzzle_1T)
    assert (solved.solutions_N, solved.guesses_N) == ([1], [0])
    np.testing.assert_array_equal(solved.first_NT, full_1T)


@pytest.mark.parametrize("shape", [Shape(2, 2), NINE, Shape(4, 4)])
def test_contradicting_clues_have_no_solution(shape):
    twice_NT = np.zeros((2, shape.cells), np.uint8)
    twice_NT[0, :2] = 1  # twice in a row
    twice_NT[1, 0], twice_NT[1, 1 : shape.n] = 1, np.arange(2, shape.n + 1)
    twice_NT[1, shape.n - 1], twice_NT[1, -1] = 0, shape.n  # nothing is left for the end of the first row
    solved = solve(shape, twice_NT)
    assert (solved.solutions_N == 0).all()
    assert not solved.first_NT.any()


def test_there_are_288_full_boards_of_4x4():
    empty_1T = np.zeros((1, 16), np.uint8)
    assert solve(Shape(2, 2), empty_1T, limit=1000).solutions_N == [288]
    assert solve(Shape(2, 2), empty_1T, limit=7).solutions_N == [7]


def test_a_rectangle_that_can_be_swapped_has_two_solutions():
    solved = solve(Shape(2, 2), grid("..343412..434321"), limit=9)
    assert (solved.solutions_N, solved.guesses_N) == ([2], [1])


def test_singles_are_never_guessed_and_hard_puzzles_are():
    solved = solve(NINE, np.concatenate([grid(SINGLES), grid(HARD)]))
    assert solved.solutions_N.tolist() == [1, 1]
    assert solved.guesses_N[0] == 0
    assert solved.guesses_N[1] > 5


def test_a_puzzle_is_solved_alike_in_any_batch():
    puzzle_NT = np.concatenate([grid(HARD), np.zeros((1, 81), np.uint8), grid(SINGLES)])
    together, alone = solve(NINE, puzzle_NT), solve(NINE, grid(SINGLES))
    assert together.guesses_N[2] == alone.guesses_N[0]
    np.testing.assert_array_equal(together.first_NT[2], alone.first_NT[0])


def test_running_out_of_guesses_is_an_error_that_names_the_puzzle():
    with pytest.raises(UserError, match=r"puzzle 1 .* after 3 guesses"):
        solve(NINE, np.concatenate([grid(SINGLES), grid(HARD)]), max_guesses=3)


@pytest.mark.parametrize("wrong_NT", [np.zeros((1, 80), np.uint8), np.zeros(81, np.uint8), np.full((1, 81), 10, np.uint8)])
def test_a_grid_of_another_shape_is_an_error(wrong_NT):
    with pytest.raises(UserError, match="81"):
        solve(NINE, wrong_NT)


def test_no_puzzles_give_no_rows():
    assert len(solve(NINE, np.zeros((0, 81), np.uint8)).solutions_N) == 0

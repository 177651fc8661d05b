"""Generated puzzles: one solution, no clue too many, the asked number of clues, and each a function of its own seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from bdh_reason.errors import UserError
from tasks.sudoku.generator import minimal, with_clues
from tasks.sudoku.shape import Shape
from tasks.sudoku.solver import solve
from tests.oracles import sudoku_solutions
from tests.strategies import seeds, small_shapes

NINE = Shape(3, 3)


def superfluous(shape: Shape, puzzle_T: np.ndarray) -> list[int]:
    """The clues that can each be taken away without a second solution appearing."""
    clues_C = np.flatnonzero(puzzle_T)
    fewer_CT = np.repeat(puzzle_T[None], len(clues_C), 0)
    fewer_CT[np.arange(len(clues_C)), clues_C] = 0
    return clues_C[solve(shape, fewer_CT).solutions_N == 1].tolist()


@given(small_shapes, seeds)
def test_minimal_puzzles_have_one_solution_and_no_clue_too_many(shape, seed):
    for puzzle_T in minimal(shape, np.random.default_rng(seed), 2):
        assert len(list(sudoku_solutions(shape.box_rows, shape.box_cols, puzzle_T.tolist()))) == 1
        assert superfluous(shape, puzzle_T) == []


@given(small_shapes, seeds)
def test_a_clue_too_many_would_be_found(shape, seed):
    puzzle_1T = minimal(shape, np.random.default_rng(seed), 1)
    blank = np.flatnonzero(puzzle_1T[0] == 0)[0]
    puzzle_1T[0, blank] = solve(shape, puzzle_1T).first_NT[0, blank]
    assert blank in superfluous(shape, puzzle_1T[0])


@pytest.mark.parametrize("shape", [Shape(3, 4), Shape(4, 3), Shape(4, 4)])
def test_larger_boards_are_minimal_too(shape):
    (puzzle_T,) = minimal(shape, np.random.default_rng(0), 1)
    assert solve(shape, puzzle_T[None]).solutions_N == [1]
    assert superfluous(shape, puzzle_T) == []


@given(small_shapes, seeds)
def test_a_puzzle_hangs_on_its_own_seed_and_not_on_the_batch(shape, seed):
    few_NT, many_NT = (minimal(shape, np.random.default_rng(seed), n) for n in (2, 4))
    np.testing.assert_array_equal(few_NT, many_NT[:2])


def test_puzzles_of_a_batch_differ_and_so_do_seeds():
    puzzle_NT = np.concatenate([minimal(NINE, np.random.default_rng(seed), 50) for seed in (1, 2)])
    assert len(np.unique(puzzle_NT, axis=0)) == 100
    assert len(np.unique(solve(NINE, puzzle_NT).first_NT, axis=0)) == 100


def test_the_first_cells_and_digits_are_no_likelier_than_others():
    puzzle_NT = minimal(NINE, np.random.default_rng(3), 2000)
    clues_T, of_digit = (puzzle_NT > 0).mean(0), np.bincount(puzzle_NT.ravel(), minlength=10)[1:] / (puzzle_NT > 0).sum()
    assert np.abs(clues_T - clues_T.mean()).max() < 5 * (0.3 * 0.7 / 2000) ** 0.5
    assert np.abs(of_digit - 1 / 9).max() < 0.006
    assert 24.2 < 81 * clues_T.mean() < 24.6  # what digging from random boards gives; other ways were measured at 23.7 to 24.3


@pytest.mark.parametrize(("shape", "clues"), [(Shape(2, 2), 4), (Shape(2, 3), 20), (NINE, 22), (NINE, 36), (NINE, 81), (Shape(5, 5), 500)])
def test_puzzles_have_exactly_the_clues_that_were_asked_for(shape, clues):
    puzzle_NT = with_clues(shape, np.random.default_rng(0), 3, clues)
    assert (puzzle_NT > 0).sum(1).tolist() == [clues] * 3
    assert (solve(shape, puzzle_NT).solutions_N == 1).all()


@pytest.mark.parametrize(("shape", "clues"), [(Shape(2, 2), 3), (NINE, 16)])
def test_clues_that_no_try_comes_down_to_are_an_error_that_says_what_was_reached(shape, clues):
    with pytest.raises(UserError, match=r"20,000 tries; the fewest were \d+"):
        with_clues(shape, np.random.default_rng(0), 2, clues)


@pytest.mark.parametrize("clues", [7, 82, -1])
def test_clues_that_no_puzzle_has_are_an_error(clues):
    with pytest.raises(UserError, match=r"8 .* to 81"):
        with_clues(NINE, np.random.default_rng(0), 1, clues)


def test_no_puzzles_give_no_rows():
    assert minimal(NINE, np.random.default_rng(0), 0).shape == (0, 81)
    assert with_clues(NINE, np.random.default_rng(0), 0, 30).shape == (0, 81)

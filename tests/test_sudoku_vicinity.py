"""Neighbours of a puzzle: one clue away, with one solution, and that is another one. And what a class of solutions shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.sudoku import vicinity
from tasks.sudoku.generator import minimal, strip
from tasks.sudoku.kin import kin
from tasks.sudoku.shape import Shape
from tasks.sudoku.solver import solve
from tasks.sudoku.symmetry import transform
from tasks.sudoku.vicinity import neighbours
from tests.oracles import sudoku_solutions
from tests.strategies import SMALL, full_boards, seeds, small_shapes

NINE = Shape(3, 3)


def solutions(shape: Shape, puzzle_T: np.ndarray) -> list[list[int]]:
    return list(sudoku_solutions(shape.box_rows, shape.box_cols, puzzle_T.tolist()))


@given(small_shapes, seeds)
def test_neighbours_are_one_clue_away_and_have_one_solution_which_is_another(shape, seed):
    rng = np.random.default_rng(seed)
    root_RT = minimal(shape, rng, 2)
    puzzle_MT, solution_MT, root_M = neighbours(shape, rng, root_RT)
    old_MT = root_RT[root_M]
    assert ((old_MT != 0) & (puzzle_MT != old_MT)).sum(1).tolist() == [1] * len(puzzle_MT), "one clue is gone"
    assert ((puzzle_MT != 0) & (puzzle_MT != old_MT)).sum(1).tolist() == [1] * len(puzzle_MT), "one clue is new"
    assert (solution_MT != solve(shape, root_RT).first_NT[root_M]).any(1).all()
    for m in rng.permutation(len(puzzle_MT))[:1]:
        assert solutions(shape, puzzle_MT[m]) == [solution_MT[m].tolist()]


def test_every_solution_that_one_digit_singles_out_is_found_once_for_each_clue():
    shape = Shape(2, 3)
    root_1T = minimal(shape, np.random.default_rng(5), 1)
    wanted = []
    for clue in np.flatnonzero(root_1T[0]):
        fewer_T = np.where(np.arange(shape.cells) == clue, 0, root_1T[0])
        found_ST = np.array(solutions(shape, fewer_T))
        single_S = ((found_ST[:, None] == found_ST).sum(1) == 1).any(1)
        if len(found_ST) < vicinity._SOLUTIONS:
            wanted += [tuple(one) for one in found_ST[single_S & (found_ST[:, clue] != root_1T[0, clue])]]
    found_MT = neighbours(shape, np.random.default_rng(6), root_1T)[1]
    assert len(found_MT) > 10
    assert sorted(map(tuple, found_MT.tolist())) == sorted(wanted)


def test_some_nine_by_nine_puzzles_have_many_neighbours_and_none_has_none():
    root_M = neighbours(NINE, np.random.default_rng(1), minimal(NINE, np.random.default_rng(0), 20))[2]
    assert np.bincount(root_M, minlength=20).min() > 5
    assert len(root_M) > 20 * 25


@given(small_shapes, seeds)
def test_stripped_puzzles_are_minimal_and_keep_their_solution(shape, seed):
    rng = np.random.default_rng(seed)
    puzzle_NT = minimal(shape, rng, 3)
    solution_NT = solve(shape, puzzle_NT).first_NT
    richer_NT = np.where(rng.random(puzzle_NT.shape) < 0.3, solution_NT, puzzle_NT)
    bare_NT = strip(shape, rng, richer_NT)
    np.testing.assert_array_equal(solve(shape, bare_NT).first_NT, solution_NT)
    assert ((bare_NT == 0) | (bare_NT == richer_NT)).all()
    for bare_T in bare_NT:
        for clue in np.flatnonzero(bare_T):
            fewer_1T = np.where(np.arange(shape.cells) == clue, 0, bare_T)[None]
            assert solve(shape, fewer_1T).solutions_N == [2]


@given(st.data())
def test_kin_is_the_same_for_a_whole_class(data):
    shape = data.draw(st.sampled_from(SMALL))
    board_1T = data.draw(full_boards(shape))
    rng = np.random.default_rng(data.draw(seeds))
    (twin_NT,) = transform(shape, rng, np.repeat(board_1T, 5, 0))
    assert set(kin(shape, twin_NT).tolist()) == set(kin(shape, board_1T).tolist())


@pytest.mark.parametrize(("shape", "least"), [(NINE, 1990), (Shape(2, 4), 500)])
def test_kin_tells_most_boards_apart(shape, least):
    kin_N = kin(shape, solve(shape, minimal(shape, np.random.default_rng(2), 2000), 1).first_NT)
    assert len(np.unique(kin_N)) >= least

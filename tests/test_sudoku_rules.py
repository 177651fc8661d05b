import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import SHAPES, full_board, full_boards, puzzles, seeds, shapes, small_shapes

from tasks.sudoku import rules


def oracle(shape, grid_T):
    """Whether a digit stands twice among the cells that share a row, a column or a box; one pair of cells at a time."""
    place = [(i // shape.n, i % shape.n, i // shape.n // shape.box_rows, i % shape.n // shape.box_cols) for i in range(shape.cells)]
    for i, (row, column, band, stack) in enumerate(place):
        for j, (other_row, other_column, other_band, other_stack) in enumerate(place[:i]):
            near = row == other_row or column == other_column or (band, stack) == (other_band, other_stack)
            if near and grid_T[i] and grid_T[i] == grid_T[j]:
                return True
    return False


@given(shapes.flatmap(lambda shape: st.tuples(st.just(shape), full_boards(shape), puzzles(shape))))
def test_full_boards_are_valid_and_their_clues_never_clash(case):
    shape, board_1T, puzzle_1T = case
    assert rules.valid(shape, board_1T).tolist() == [True]
    assert rules.clashes(shape, puzzle_1T).tolist() == [False]


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.n <= 9], ids=str)
def test_every_single_changed_cell_makes_a_board_invalid(shape):
    board_1T = full_board(shape)
    changed_NT = board_1T.repeat(shape.cells * shape.n, 0)
    cell_N, digit_N = np.divmod(np.arange(len(changed_NT)), shape.n)
    changed_NT[np.arange(len(changed_NT)), cell_N] = digit_N  # the blank and all digits but the last
    same_N = (changed_NT == board_1T).all(1)
    assert (rules.valid(shape, changed_NT) == same_N).all()


@given(small_shapes.flatmap(lambda shape: st.tuples(st.just(shape), puzzles(shape), seeds)))
def test_clashes_agree_with_comparing_all_pairs(case):
    shape, puzzle_1T, seed = case
    rng = np.random.default_rng(seed)
    grid_NT = puzzle_1T.repeat(8, 0)
    for row_T in grid_NT:
        cells = rng.integers(0, shape.cells, rng.integers(0, 3))
        row_T[cells] = rng.integers(0, shape.n + 1, len(cells))
    assert rules.clashes(shape, grid_NT).tolist() == [oracle(shape, row_T) for row_T in grid_NT]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_kind_of_unit_is_looked_at(shape):
    row, column = np.divmod(np.arange(shape.cells), shape.n)
    wrong_boxes = (row + column) % shape.n
    wrong_columns = (row % shape.box_rows * shape.box_cols + column) % shape.n
    wrong_rows = (column % shape.box_cols * shape.box_rows + row) % shape.n
    for number, wrong_T in enumerate((wrong_rows, wrong_columns, wrong_boxes)):
        units_3nn = (wrong_T + 1)[shape.units_Un].reshape(3, shape.n, shape.n)
        broken = [kind for kind in range(3) if any(len(set(unit)) < shape.n for unit in units_3nn[kind].tolist())]
        assert broken == [number], "the board breaks one kind of unit alone"
        assert not rules.valid(shape, (wrong_T + 1).astype(np.uint8)[None]).any()


@given(shapes.flatmap(lambda shape: st.tuples(st.just(shape), st.integers(0, shape.cells - 1), st.integers(shape.n + 1, 255))))
def test_numbers_beyond_n_are_no_digits(case):
    shape, cell, number = case
    board_1T = full_board(shape)
    board_1T[0, cell] = number
    assert not rules.valid(shape, board_1T).any()


def test_nothing_is_asked_about_no_boards():
    for shape in SHAPES:
        assert rules.valid(shape, np.zeros((0, shape.cells), np.uint8)).shape == (0,)

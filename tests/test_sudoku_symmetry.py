from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import SHAPES, full_boards, puzzles, seeds, shapes

from tasks.sudoku import rules
from tasks.sudoku.shape import Shape
from tasks.sudoku.symmetry import transform

both = st.tuples(shapes, seeds)


def elements(shape, seed, count):
    """`count` random symmetries, read off boards: the old cell at each new place [N, T], and each digit's new name [N, n]."""
    bits = max(shape.cells - 1, 1).bit_length()
    cell_T = np.arange(shape.cells)
    boards = [(cell_T >> bit & 1).astype(np.uint8) for bit in range(bits)]
    boards += [np.full(shape.cells, digit, np.uint8) for digit in range(1, shape.n + 1)]
    changed = transform(shape, np.random.default_rng(seed), *(board_T[None].repeat(count, 0) for board_T in boards))
    cell_NT = sum((board_NT > 0).astype(int) << bit for bit, board_NT in enumerate(changed[:bits]))
    return cell_NT, np.stack([board_NT[:, 0] for board_NT in changed[bits:]], 1)


@given(both)
def test_a_symmetry_permutes_the_cells_and_the_digits(case):
    shape, seed = case
    cell_NT, digit_Nn = elements(shape, seed, 3)
    assert (np.sort(cell_NT) == np.arange(shape.cells)).all()
    assert (np.sort(digit_Nn) == np.arange(1, shape.n + 1)).all()


@given(both)
def test_a_symmetry_takes_units_to_units(case):
    shape, seed = case
    units = {frozenset(unit) for unit in shape.units_Un.tolist()}
    for cell_T in elements(shape, seed, 3)[0]:
        assert {frozenset(unit) for unit in cell_T[shape.units_Un].tolist()} == units


@given(shapes.flatmap(lambda shape: st.tuples(st.just(shape), full_boards(shape), puzzles(shape), seeds)))
def test_symmetries_keep_boards_valid_and_clues_free_of_clashes(case):
    shape, board_1T, puzzle_1T, seed = case
    board_NT, puzzle_NT = transform(shape, np.random.default_rng(seed), board_1T.repeat(4, 0), puzzle_1T.repeat(4, 0))
    assert rules.valid(shape, board_NT).all()
    assert not rules.clashes(shape, puzzle_NT).any()


@given(shapes.flatmap(lambda shape: st.tuples(st.just(shape), full_boards(shape), seeds)))
def test_all_arrays_share_the_symmetry_of_their_row(case):
    shape, board_1T, seed = case
    shown_NT = np.random.default_rng(seed).random((6, shape.cells)) < 0.4
    board_NT = board_1T.repeat(6, 0)
    puzzle_NT = np.where(shown_NT, board_NT, 0).astype(np.uint8)
    changed, solution = transform(shape, np.random.default_rng(seed), puzzle_NT, board_NT)
    assert ((changed == 0) | (changed == solution)).all()
    assert ((changed > 0).sum(1) == shown_NT.sum(1)).all()
    assert (transform(shape, np.random.default_rng(seed), puzzle_NT)[0] == changed).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_row_has_a_symmetry_of_its_own(shape):
    cell_NT, digit_Nn = elements(shape, 0, 40)
    assert len({tuple(row) for row in np.hstack([cell_NT, digit_Nn]).tolist()}) >= 38


@pytest.mark.parametrize(("box", "order"), [((2, 2), 128), ((2, 3), 2 * 2 * 2 * 6 * 6 * 6 * 2)])
def test_every_symmetry_of_a_small_board_is_drawn_equally_often(box, order):
    shape, per_element = Shape(*box), 40
    cell_NT, digit_Nn = elements(shape, 1, order * per_element)
    counts = np.array(list(Counter(map(bytes, cell_NT.astype(np.uint8))).values()))
    assert len(counts) <= order, "nothing outside the group"
    chi_square = ((counts - per_element) ** 2).sum() / per_element + (order - len(counts)) * per_element
    assert abs(chi_square - order) < 5 * (2 * order) ** 0.5
    first_digit = np.bincount(digit_Nn[:, 0], minlength=shape.n + 1)[1:]
    assert abs(first_digit / first_digit.sum() - 1 / shape.n).max() < 0.02


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_only_square_boxes_are_transposed(shape):
    cell_NT, _ = elements(shape, 2, 60)
    row_NT = cell_NT // shape.n
    turned_N = row_NT[:, 0] != row_NT[:, 1]  # two neighbours of a row came from two rows
    assert (0 < turned_N.sum() < 60) if shape.box_rows == shape.box_cols else not turned_N.any()

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import SHAPES, full_board, puzzles, seeds, shapes, small_shapes

from tasks.sudoku import rules
from tasks.sudoku.canonical import canonical, family
from tasks.sudoku.shape import Shape
from tasks.sudoku.symmetry import transform

PAIR = (  # two 17-clue puzzles that differ by where one clue stands
    ".................1.....2.3......3.2...1.4......5....6..3......4.7..8...962...7...",
    ".................1.....2.3......3.2...1.4......5...6...3......4.7..8...962...7...",
)


def grids(*texts):
    return np.array([[int(symbol) if symbol != "." else 0 for symbol in text] for text in texts], np.uint8)


def orders(blocks, size):
    """Every order of blocks · size lines that keeps the lines of a block together."""
    for of_blocks in itertools.permutations(range(blocks)):
        for inside in itertools.product(itertools.permutations(range(size)), repeat=blocks):
            yield [block * size + line for block in of_blocks for line in inside[block]]


def least_of_class(shape, grid_T):
    """The lexicographically least board under all symmetries, by trying them all."""
    grid_nn = grid_T.reshape(shape.n, shape.n)
    boards = [grid_nn, grid_nn.T] if shape.box_rows == shape.box_cols else [grid_nn]
    least = None
    for board, rows, columns in itertools.product(boards, orders(shape.box_cols, shape.box_rows), list(orders(shape.box_rows, shape.box_cols))):
        names: dict[int, int] = {}
        cells = tuple(names.setdefault(digit, len(names) + 1) if digit else 0 for digit in board[np.ix_(rows, columns)].ravel().tolist())
        least = cells if least is None else min(least, cells)
    return least


def full_boards_of(shape, given):
    """All full boards with the given clues, by trying every digit in every cell."""
    boards, near = [np.array(given)], [set(shape.units_Un[(shape.units_Un == cell).any(1)].ravel().tolist()) for cell in range(shape.cells)]
    for cell in np.flatnonzero(np.array(given) == 0).tolist():
        others, extended = sorted(near[cell] - {cell}), []
        for board in boards:
            for digit in set(range(1, shape.n + 1)) - set(board[others].tolist()):
                extended.append(board.copy())
                extended[-1][cell] = digit
        boards = extended
    return np.array(boards, np.uint8)


def is_unchanged_by_symmetries(shape, grid_1T, seed):
    copies_NT = transform(shape, np.random.default_rng(seed), grid_1T.repeat(6, 0))[0]
    return (canonical(shape, copies_NT) == canonical(shape, grid_1T)).all()


@given(shapes.flatmap(lambda shape: st.tuples(st.just(shape), puzzles(shape), seeds)))
def test_all_boards_of_a_class_have_one_form(case):
    assert is_unchanged_by_symmetries(*case)


@given(small_shapes.flatmap(lambda shape: st.tuples(st.just(shape), st.integers(0, 12), seeds, seeds)))
def test_clues_that_clash_have_one_form_too(case):
    shape, clues, seed, other = case
    rng = np.random.default_rng(seed)
    grid_1T = np.zeros((1, shape.cells), np.uint8)
    grid_1T[0, rng.integers(0, shape.cells, clues)] = rng.integers(1, shape.n + 1, clues)
    assert is_unchanged_by_symmetries(shape, grid_1T, other)


@given(shapes.flatmap(lambda shape: st.tuples(st.just(shape), puzzles(shape))))
def test_the_form_of_a_form_is_itself_and_holds_the_same_clues(case):
    shape, puzzle_1T = case
    form_1T = canonical(shape, puzzle_1T)
    assert (canonical(shape, form_1T) == form_1T).all()
    assert not rules.clashes(shape, form_1T).any()
    times, form_times = (np.sort(np.bincount(grid_1T[0], minlength=shape.n + 1)[1:]) for grid_1T in (puzzle_1T, form_1T))
    assert (times == form_times).all(), "each digit appears as often as its new name"


@given(puzzles(Shape(2, 2)))
def test_the_form_of_a_4x4_board_is_a_board_of_its_class(puzzle_1T):
    form_1T = canonical(Shape(2, 2), puzzle_1T)
    assert least_of_class(Shape(2, 2), form_1T[0]) == least_of_class(Shape(2, 2), puzzle_1T[0])


@pytest.mark.parametrize("clues", [1, 2, 3, 4, 8])
def test_4x4_boards_have_equal_forms_exactly_when_some_symmetry_makes_them_equal(clues):
    shape, rng = Shape(2, 2), np.random.default_rng(clues)
    grid_NT = np.zeros((60, 16), np.uint8)
    for row_T in grid_NT:
        row_T[rng.permutation(16)[:clues]] = rng.integers(1, 3, clues)  # two digits only, so that many are equal
    forms = [row.tobytes() for row in canonical(shape, grid_NT)]
    least = [least_of_class(shape, row_T) for row_T in grid_NT]
    assert len(set(zip(forms, least))) == len(set(forms)) == len(set(least))


@pytest.mark.parametrize(
    ("box", "given", "classes"),
    [
        ((2, 2), [1, 2, 3, 4] + [0] * 12, 2),
        ((2, 3), [1, 2, 3, 4, 5, 6, 4, 5, 6] + [0] * 27, 49),  # Russell and Jarvis 2006 count 2 and 49; up to symmetry every board begins so
    ],
)
def test_all_full_boards_fall_into_as_many_classes_as_the_literature_counts(box, given, classes):
    shape = Shape(*box)
    board_NT = full_boards_of(shape, given)
    assert len(np.unique(canonical(shape, board_NT), axis=0)) == classes


@given(seeds)
def test_puzzles_that_differ_by_one_clues_place_differ_in_form(seed):
    shape, rng = Shape(3, 3), np.random.default_rng(seed)
    forms_NT = canonical(shape, transform(shape, rng, grids(*PAIR))[0])
    assert (forms_NT[0] != forms_NT[1]).any()


def highly_symmetric(shape):
    """Boards with more symmetries than a search could try one by one."""
    row, column = np.divmod(np.arange(shape.cells), shape.n)
    full_T, box_T = full_board(shape)[0], shape.coordinates_T3[:, 2]
    yield np.zeros(shape.cells, np.uint8)
    shown = [row >= 0, row == 0, row < 2, row < shape.box_rows, box_T == 0, full_T == 1, full_T <= 2, (row == 0) | (column == 0), row == column]
    shown += [(row // shape.box_rows) == (column // shape.box_cols), (row % shape.box_rows == 0) & (column % shape.box_cols == 0)]
    yield from (np.where(shown_T, full_T, 0).astype(np.uint8) for shown_T in shown)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_boards_with_very_many_symmetries_have_one_form(shape):
    for number, grid_T in enumerate(highly_symmetric(shape)):
        assert is_unchanged_by_symmetries(shape, grid_T[None], number), number


def test_a_transpose_counts_as_the_same_board_only_where_boxes_are_square():
    for shape in SHAPES:
        corner_T = np.zeros(shape.cells, np.uint8)
        corner_T[: shape.box_cols] = np.arange(shape.box_cols) + 1
        turned_T = corner_T.reshape(shape.n, shape.n).T.ravel()
        forms_NT = canonical(shape, np.stack([corner_T, turned_T]))
        assert (forms_NT[0] == forms_NT[1]).all() == (shape.box_rows == shape.box_cols)


def test_a_family_is_the_same_number_on_every_machine_and_in_every_version():
    """Splits on disk depend on these numbers; a change of them needs a new version of the task."""
    assert family(Shape(3, 3), grids(*PAIR)).tolist() == [468677366748976914, 2811521182375485223]
    assert family(Shape(2, 2), np.zeros((1, 16), np.uint8)).tolist() == [9571459599280659721]


def test_families_tell_shapes_apart_but_not_a_board_from_its_mirror_image_and_may_be_of_no_board():
    empty_1T = np.zeros((1, 144), np.uint8)
    assert family(Shape(2, 6), empty_1T) != family(Shape(3, 4), empty_1T)
    puzzle_N66 = np.random.default_rng(0).integers(0, 7, (50, 6, 6)).astype(np.uint8)
    upright_NT, lying_NT = puzzle_N66.mT.reshape(50, 36), puzzle_N66.reshape(50, 36)
    assert (family(Shape(3, 2), upright_NT) == family(Shape(2, 3), lying_NT)).all()
    empty_1T = np.zeros((1, 36), np.uint8)
    assert family(Shape(2, 3), empty_1T[:0]).tolist() == []

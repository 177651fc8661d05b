import numpy as np
import pytest
from hypothesis import given
from strategies import SHAPES, full_board, puzzles, seeds

from bdh_reason.config import configure
from bdh_reason.errors import UserError
from bdh_reason.rng import generator
from tasks import sudoku
from tasks.sudoku import Config, Task, formats, symmetry
from tasks.sudoku.shape import Shape

FOUR, NINE = Task(Config((2, 2))), Task(Config())
PUZZLE, ANSWER = "..3..4..2......1", "1234341221434321"


def as_bytes(*texts):
    return np.array([list(text.encode()) for text in texts], np.uint8)


def test_the_example_of_the_docstring_is_right():
    assert (FOUR.solve(as_bytes(PUZZLE)) == as_bytes(ANSWER)).all()
    assert FOUR.solutions(as_bytes(PUZZLE)).tolist() == [1]
    assert PUZZLE in sudoku.__doc__
    assert ANSWER in sudoku.__doc__


@pytest.mark.parametrize("box", [(1, 3), (3, 6), (3,), (3, 3, 3), (2.0, 2), (True, 2), ("3", "3")])
def test_boxes_beyond_2x2_to_5x5_are_refused(box):
    with pytest.raises(UserError, match="box"):
        Config(box)


@pytest.mark.parametrize(("box", "clues"), [((3, 3), 7), ((3, 3), 81), ((3, 3), "30"), ((3, 3), True), ((2, 2), 16), ((2, 2), -1)])
def test_clues_outside_the_possible_range_are_refused(box, clues):
    with pytest.raises(UserError, match="clues"):
        Config(box, clues)


def test_options_are_read_from_lists_and_unknown_ones_refused():
    assert configure(Config, {"box": [2, 3], "clues": 12}, "recipe") == Config((2, 3), 12)
    with pytest.raises(UserError, match="did you mean 'clues'"):
        configure(Config, {"clue": 12}, "recipe")


def test_the_asked_number_of_clues_is_shown():
    problems = Task(Config((2, 3), 14)).generate(generator(0, "test"), 8)
    assert (~problems.scored).sum(1).tolist() == [14] * 8


def test_no_clue_of_a_minimal_puzzle_can_be_spared():
    task = Task(Config((2, 3)))
    prompt_NT = task.generate(generator(0, "test"), 6).prompt
    for prompt_T in prompt_NT:
        fewer_NT = prompt_T[None].repeat((prompt_T != ord(".")).sum(), 0)
        fewer_NT[np.arange(len(fewer_NT)), np.flatnonzero(prompt_T != ord("."))] = ord(".")
        assert (task.solutions(fewer_NT) == 2).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_candidates_are_related_exactly_as_the_rules_say(shape):
    board = Task(Config((shape.box_rows, shape.box_cols))).board("candidates", "grid")
    row, column, box, digit = board.coordinates_TK.T.astype(int)
    assert board.tokens == shape.n**3
    assert np.array_equal(digit, np.tile(np.arange(shape.n), shape.cells))
    shared = [(row, column), (row, digit), (column, digit), (box, digit)]
    for groups_Gk, parts in zip(board.groups_RGk, shared, strict=True):
        for part in parts:
            assert (part[groups_Gk] == part[groups_Gk][:, :1]).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cells_are_related_by_row_column_and_box(shape):
    board = Task(Config((shape.box_rows, shape.box_cols))).board("cells", "sequence")
    assert board.groups_RGk.shape == (3, shape.n, shape.n)
    for groups_Gk, part_T in zip(board.groups_RGk, board.coordinates_TK.T):
        assert (part_T[groups_Gk] == part_T[groups_Gk][:, :1]).all()


def test_candidates_cannot_be_read_as_a_sequence():
    with pytest.raises(UserError, match="'sequence' in the candidates view of sudoku; allowed: grid"):
        NINE.board("candidates", "sequence")


@given(puzzles(Shape(2, 3)), seeds)
def test_symmetries_keep_the_number_of_solutions(puzzle_1T, seed):
    task, shape = Task(Config((2, 3))), Shape(2, 3)
    changed_NT = symmetry.transform(shape, np.random.default_rng(seed), puzzle_1T.repeat(4, 0))[0]
    counts = task.solutions(formats.to_bytes(shape, np.concatenate([puzzle_1T, changed_NT])))
    assert len(set(counts.tolist())) == 1


def test_a_prompt_without_a_solution_is_refused_with_the_prompt():
    with pytest.raises(UserError, match=r"'123\.\.\.4\.{9}' has no solution"):
        FOUR.solve(as_bytes(PUZZLE, "123...4........."))


def test_a_verified_reply_is_one_of_the_rules_not_of_a_stored_answer():
    shape = Shape(2, 2)
    empty_1T = as_bytes("." * 16)
    assert FOUR.verify(empty_1T, formats.to_bytes(shape, full_board(shape))).all()
    assert not FOUR.verify(empty_1T, as_bytes("1234" * 4)).any()


def test_puzzles_that_are_read_are_whole_problems():
    problems = FOUR.read(f"# one\n{PUZZLE}\n{PUZZLE.replace('.', '0')}\n", "two.sdm")
    assert (problems.target == as_bytes(ANSWER)).all()
    assert (problems.scored == (as_bytes(PUZZLE) == ord("."))).all()
    assert problems.family.tolist() == FOUR.canonical(as_bytes(PUZZLE, PUZZLE)).tolist()
    assert problems.difficulty.tolist() == [0, 0]
    assert FOUR.solutions(problems.prompt).tolist() == [1, 1]


def test_the_ratings_of_a_csv_are_in_another_unit_and_do_not_become_difficulties():
    problems = FOUR.read(f"source,question,answer,rating\nhere,{PUZZLE},{ANSWER},18\n", "file.csv")
    assert problems.difficulty.tolist() == FOUR.read(PUZZLE, "line").difficulty.tolist()
    assert problems.difficulty.dtype == np.float32


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (f"{PUZZLE}\n\n..3.............\n", 3, "several solutions"),
        (f"#\n123...4.........\n{PUZZLE}\n", 2, "no solution"),
        (f"{PUZZLE}\n3{PUZZLE[1:]}\n", 2, "contradict"),
        (f"question,answer\n{PUZZLE},{ANSWER}\n..3.............,{ANSWER}\n", 3, "several solutions"),
        (f"question,answer\n{PUZZLE},{ANSWER[:2]}4{ANSWER[3:]}\n", 2, "changes a clue"),
        (f"question,answer\n{PUZZLE},2{ANSWER[1:]}\n", 2, "breaks the rules"),
    ],
)
def test_what_is_no_puzzle_with_one_solution_names_the_file_and_the_line(text, line, problem):
    with pytest.raises(UserError, match=rf"^dir/file\.txt, line {line}: .*{problem}"):
        FOUR.read(text, "dir/file.txt")

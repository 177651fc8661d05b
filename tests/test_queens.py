import numpy as np
import pytest

from bdh_reason.errors import UserError
from bdh_reason.rng import generator
from tasks.queens import Config, Task

SIX, EIGHT = Task(Config(6)), Task(Config())


def squares(text):
    return {(row, ord(letter) - ord("a")) for row, letter in enumerate(text) if letter != "."}


def test_candidates_are_squares_related_along_the_lines_a_queen_moves_on():
    board = SIX.board("candidates", "grid")
    same_row, same_column, rising, falling = board.mask_RTT
    for square, (row, column) in enumerate(board.coordinates_TK.astype(int)):
        for other, (its_row, its_column) in enumerate(board.coordinates_TK.astype(int)):
            assert same_row[square, other] == (row == its_row)
            assert same_column[square, other] == (column == its_column)
            assert rising[square, other] == (row + column == its_row + its_column)
            assert falling[square, other] == (row - column == its_row - its_column)
    assert board.expand(np.array([list(b".d....")], np.uint8)).reshape(6, 6)[:2].tolist() == [[0] * 6, [2, 2, 2, 1, 2, 2]]


def test_the_eight_guises_of_a_board_are_those_of_the_square():
    problems = EIGHT.generate(generator(0, "test"), 1)
    many = EIGHT.augment(generator(1, "test"), problems.take(np.zeros(300, int)))
    given, images = squares(problems.prompt[0].tobytes().decode()), set()
    for down in (False, True):
        for right in (False, True):
            for turned in (False, True):
                moved = {(7 - row if down else row, 7 - column if right else column) for row, column in given}
                images.add(frozenset((column, row) if turned else (row, column) for row, column in moved))
    assert {frozenset(squares(prompt_T.tobytes().decode())) for prompt_T in many.prompt} == images


@pytest.mark.parametrize(("n", "families"), [(6, 3), (7, 75)])
def test_small_boards_have_as_few_families_as_the_docstring_says(n, families):
    assert len(np.unique(Task(Config(n)).generate(generator(0, "test"), 5000).family)) == families


def test_large_boards_are_filled_and_proven():
    task = Task(Config(32))
    problems = task.generate(generator(0, "test"), 3)
    assert task.solutions(problems.prompt).tolist() == [1, 1, 1]
    assert problems.scored.any(1).all()


@pytest.mark.parametrize("n", [5, 33, 8.0, None])
def test_other_boards_are_refused(n):
    with pytest.raises(UserError, match="n of queens"):
        Config(n)

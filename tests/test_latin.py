from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from strategies import seeds

from bdh_reason import discover
from bdh_reason.errors import UserError
from bdh_reason.rng import generator
from tasks.latin import Config, Task

FOUR, FUTOSHIKI = Task(Config(4)), Task(Config(4, signs=True))
BEFORE = {"<": True, "^": True, ">": False, "v": False}


def square_is_right(text, n, signs):
    """The rules in words, and the text taken apart line by line."""
    rows, between = [], []
    while text:
        width = 2 * n - 1 if signs else n
        rows, text = [*rows, text[:width]], text[width:]
        if signs and text:
            between, text = [*between, text[:n]], text[n:]
    square = [row[::2] if signs else row for row in rows]
    ordered = [(row[i : i + 3]) for row in rows for i in range(0, len(row) - 2, 2)] if signs else []
    ordered += [above[i] + signs[i] + below[i] for (above, below), signs in zip(pairwise(square), between) for i in range(n)]
    different = all(len(set(line)) == n for line in (*square, *zip(*square)))
    return different and all((first < second) == BEFORE[sign] for first, sign, second in ordered if sign != "-")


@pytest.mark.parametrize("task", [FOUR, FUTOSHIKI, Task(Config(9)), Task(Config(7, signs=True)), Task(Config(12))], ids=lambda task: str(task.config))
def test_targets_obey_the_rules_as_the_text_says(task):
    for target_T in task.generate(generator(0, "test"), 5).target:
        assert square_is_right(target_T.tobytes().decode(), task.n, task.config.signs)


@pytest.mark.parametrize("option", [{"n": 3}, {"n": 13}, {"n": 4.0}, {"n": True}, {"signs": 1}, {"signs": "yes"}])
def test_other_squares_are_refused(option):
    with pytest.raises(UserError, match=next(iter(option))):
        Config(**option)


def test_futoshiki_is_a_name():
    assert discover.build_task("futoshiki", {"n": 5}).config == Config(5, signs=True)


@pytest.mark.parametrize("n", [4, 7])
def test_candidates_are_related_by_cell_row_and_column(n):
    board = Task(Config(n)).board("candidates", "grid")
    row, column, symbol = board.coordinates_TK.T.astype(int)
    assert np.array_equal(row * n * n + column * n + symbol, np.arange(board.tokens))
    for groups_Gk, parts in zip(board.groups_RGk, [(row, column), (row, symbol), (column, symbol)], strict=True):
        for part in parts:
            assert (part[groups_Gk] == part[groups_Gk][:, :1]).all()


def test_cells_are_related_by_row_and_column():
    board = FOUR.board("cells", "grid")
    for groups_Gk, part_T in zip(board.groups_RGk, board.coordinates_TK.T, strict=True):
        assert (part_T[groups_Gk] == part_T[groups_Gk][:, :1]).all()


def test_with_signs_cells_are_related_to_the_signs_beside_them_and_candidates_are_refused():
    board = FUTOSHIKI.board("cells", "sequence")
    row_TT, column_TT, beside_TT = board.mask_RTT
    place = {tuple(yx): t for t, yx in enumerate(board.coordinates_TK.tolist())}
    assert np.flatnonzero(row_TT[place[2, 4]]).tolist() == [place[2, x] for x in (0, 2, 4, 6)]
    assert np.flatnonzero(column_TT[place[2, 4]]).tolist() == [place[y, 4] for y in (0, 2, 4, 6)]
    assert np.flatnonzero(beside_TT[place[2, 4]]).tolist() == sorted(place[yx] for yx in [(1, 4), (2, 3), (2, 4), (2, 5), (3, 4)])
    assert np.flatnonzero(beside_TT[place[2, 3]]).tolist() == [place[2, x] for x in (2, 3, 4)]
    assert np.flatnonzero(row_TT[place[2, 3]]).tolist() == [place[2, 3]]
    with pytest.raises(UserError, match="view 'candidates'"):
        FUTOSHIKI.board("candidates", "grid")


@given(seeds)
def test_every_guise_of_a_square_with_signs_is_as_right_as_the_square(seed):
    rng = np.random.default_rng(seed)
    problems = FUTOSHIKI.generate(rng, 2)
    changed = FUTOSHIKI.augment(rng, problems)
    for target_T in changed.target:
        assert square_is_right(target_T.tobytes().decode(), 4, signs=True)
    wrong_NT = problems.target.copy()
    wrong_NT[:, [0, 2]] = wrong_NT[:, [2, 0]]
    assert not FUTOSHIKI.verify(wrong_NT, wrong_NT).any()


def test_there_are_as_few_families_as_the_docstring_says():
    assert len(np.unique(FOUR.generate(generator(0, "test"), 4000).family)) == 12
    assert len(np.unique(FUTOSHIKI.generate(generator(0, "test"), 1000).family)) > 990


def test_the_picture_puts_signs_between_the_cells():
    prompt = ".<.-.-.vv--.-.-.-2----.-2-3-.----.-.-.-."
    assert FUTOSHIKI.picture(prompt).splitlines() == [".<.-.-.", "v v - -", ".-.-.-2", "- - - -", ".-2-3-.", "- - - -", ".-.-.-."]
    assert FOUR.picture("...42...12......").splitlines() == [". . . 4", "2 . . .", "1 2 . .", ". . . ."]

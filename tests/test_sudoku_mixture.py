"""Mixtures: the asked shares, one solution class each, what belongs and nothing else, and an error where the shares cannot be had."""

from __future__ import annotations

import numpy as np
import pytest

from bdh_reason import discover
from bdh_reason.errors import UserError
from tasks.sudoku import formats, mixture, rating
from tasks.sudoku.kin import kin
from tasks.sudoku.mixture import quotas
from tasks.sudoku.rating import EDGES, difficulty
from tasks.sudoku.shape import Shape
from tasks.sudoku.solver import solve

NINE = Shape(3, 3)
MIX = (16, 11, 12, 48, 12)
KNOWN = {  # well-known puzzles, from the easiest collection to single puzzles that were each called the hardest
    "17 clues": """
        000000010400000000020000000000050407008000300001090000300400200050100000000806000
        000000012003600000000007000410020000000500300700000600280000040000300500000000000
        000000012008030000000000040120500000000004700060000000507000300000620000000100000""",
    "magictour": """
        .923.........8.1...........1.7.4...........658.........6.5.2...4.....7.....9.....
        .524.........7.1..............8.2...3.....6...9.5.....1.6.3...........897........
        6.2.5.........3.4..........43...8....1....2........7..5..27...........81...6.....""",
    "hardest": """
        1.......2.9.4...5...6...7...5.9.3.......7.......85..4.7.....6...3...9.8...2.....1
        .......39.....1..5..3.5.8....8.9...6.7...2...1..4.......9.8..5..2....6..4..7.....
        .......12........3..23..4....18....5.6..7.8.......9.....85.....9...4.5..47...6...""",
}


def everything(kin_N: np.ndarray) -> np.ndarray:
    return np.ones(len(kin_N), bool)


def ranks(number_N: np.ndarray) -> np.ndarray:
    """Ranks with the mean for equals."""
    return (number_N[:, None] > number_N).sum(1) + (number_N[:, None] == number_N).sum(1) / 2


@pytest.fixture(scope="module")
def extreme():
    return mixture.mixture(NINE, np.random.default_rng(0), 150, MIX, EDGES, lambda kin_N: kin_N % np.uint64(2) == 0)


def test_the_rating_ranks_known_lists_in_their_known_order():
    puzzle_NT = formats.read(NINE, "\n".join(KNOWN.values()), "known").puzzle_NT
    assert (solve(NINE, puzzle_NT).solutions_N == 1).all()
    rating_N, order_N = difficulty(NINE, puzzle_NT), np.repeat(np.arange(3), 3)
    assert np.corrcoef(ranks(rating_N), ranks(order_N))[0, 1] > 0.9
    seventeen, magictour, hardest = rating_N.reshape(3, 3).mean(1)
    assert 10 * seventeen < magictour < hardest / 3


def test_the_shares_are_met_by_puzzles_with_one_solution(extreme):
    puzzle_NT, solution_NT, difficulty_N = extreme
    np.testing.assert_array_equal(np.bincount(np.searchsorted(EDGES, difficulty_N), minlength=5), quotas(150, MIX))
    np.testing.assert_array_equal(difficulty_N, rating.difficulty(NINE, puzzle_NT))
    solved = solve(NINE, puzzle_NT)
    assert (solved.solutions_N == 1).all()
    np.testing.assert_array_equal(solved.first_NT, solution_NT)


def test_all_belong_and_no_two_have_solutions_of_one_class(extreme):
    kin_N = kin(NINE, extreme[1])
    assert (kin_N % np.uint64(2) == 0).all()
    assert len(np.unique(kin_N)) == 150


def test_the_order_says_nothing_of_the_difficulty(extreme):
    assert abs(np.corrcoef(np.arange(150), ranks(extreme[2]))[0, 1]) < 0.3


def test_other_seeds_grow_other_puzzles_and_the_same_seed_the_same():
    one, same, other = (mixture.mixture(NINE, np.random.default_rng(seed), 60, (1, 1, 1, 0, 0), EDGES, everything) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one[0], same[0])
    assert not np.isin(kin(NINE, one[1]), kin(NINE, other[1])).any()


def test_quotas_are_whole_and_add_up():
    assert quotas(10, (1, 1, 1)).tolist() == [4, 3, 3]
    assert quotas(1, (16, 11, 12, 48, 12)).tolist() == [0, 0, 0, 1, 0]
    assert quotas(0, (1, 2)).tolist() == [0, 0]
    assert quotas(7, (0, 0.5)).tolist() == [0, 7]


def test_shares_that_the_board_cannot_fill_are_an_error_that_says_what_was_reached():
    with pytest.raises(UserError, match=r"not reached after 20 climbs of 40 generations: 0 of 5 puzzles of more than 50 guesses; ask for a smaller share"):
        mixture.mixture(Shape(2, 2), np.random.default_rng(0), 6, (1, 0, 0, 0, 5), EDGES, everything)


def test_nothing_that_belongs_is_an_error_too(monkeypatch):
    monkeypatch.setattr(mixture, "_CLIMBS", 2)
    monkeypatch.setattr(mixture, "_GENERATIONS", 3)
    with pytest.raises(UserError, match="0 of 4 puzzles without a guess"):
        mixture.mixture(NINE, np.random.default_rng(0), 4, (1, 0, 0, 0, 0), EDGES, lambda kin_N: np.zeros(len(kin_N), bool))


@pytest.mark.parametrize("mix", [[1, 2], [1, 1, 1, 1, -1], [0, 0, 0, 0, 0], "hard", [1, 1, 1, 1, "x"], [1, 1, 1, 1, float("inf")]])
def test_a_mix_that_is_none_is_refused(mix):
    with pytest.raises(UserError, match="5 shares from 0 on, of up to 0 / 2 / 10 / 50 guesses and of more"):
        discover.build_task("sudoku", {"mix": mix})


def test_a_mix_leaves_the_clues_open():
    with pytest.raises(UserError, match="clues = 30 beside a mix"):
        discover.build_task("sudoku-extreme", {"clues": 30})


def test_the_preset_is_the_same_task():
    preset = discover.build_task("sudoku-extreme", {})
    assert (preset.name, preset.version) == ("sudoku", type(discover.build_task("sudoku", {})).version)
    assert preset.config.mix == (16, 11, 12, 48, 12)
    assert discover.resolve("sudoku-extreme")[0] == "sudoku"
    with pytest.raises(UserError, match=r"unknown task 'sudoku-extrem'.*did you mean 'sudoku-extreme'"):
        discover.resolve("sudoku-extrem")

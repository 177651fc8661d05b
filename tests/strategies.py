"""Hypothesis strategies that several test files share."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from bdh_reason.bdh import Config
from tasks.sudoku.shape import Shape
from tasks.sudoku.symmetry import transform

SHAPES = tuple(Shape(rows, columns) for rows in range(2, 6) for columns in range(2, 6))
SMALL = tuple(Shape(*box) for box in ((2, 2), (2, 3), (3, 2), (2, 4), (3, 3)))

seeds = st.integers(0, 2**32 - 1)
shapes = st.sampled_from(SHAPES)
small_shapes = st.sampled_from(SMALL)


def full_board(shape: Shape) -> np.ndarray:
    """A full board that obeys the rules, uint8 [1, T]: the first row moved on by a box's width from row to row, and by one from band to band."""
    row, column = np.divmod(np.arange(shape.cells), shape.n)
    return ((row * shape.box_cols + row // shape.box_rows + column) % shape.n + 1).astype(np.uint8)[None]


def exchange(shape: Shape, board_T: np.ndarray, rng: np.random.Generator) -> None:
    """Swaps two digits, in place, on a set of their cells that no unit cuts through: another full board, seldom of the same class."""
    one, other = rng.permutation(shape.n)[:2] + 1
    near_UT = (shape.units_Un[:, :, None] == np.arange(shape.cells)).any(1) & ((board_T == one) | (board_T == other))
    chosen_T, grown_T = np.zeros(shape.cells, bool), np.arange(shape.cells) == np.flatnonzero(board_T == one)[0]
    while (grown_T != chosen_T).any():
        chosen_T = grown_T
        grown_T = near_UT[(near_UT & chosen_T).any(1)].any(0)
    board_T[chosen_T] = one + other - board_T[chosen_T]


@st.composite
def full_boards(draw: st.DrawFn, shape: Shape) -> np.ndarray:
    """A full board that obeys the rules, uint8 [1, T], from one of many classes and anywhere in its class."""
    rng = np.random.default_rng(draw(seeds))
    board_1T = full_board(shape)
    for _ in range(draw(st.integers(0, 4))):
        exchange(shape, board_1T[0], rng)
    return transform(shape, rng, board_1T)[0]


@st.composite
def puzzles(draw: st.DrawFn, shape: Shape) -> np.ndarray:
    """A board of any share of clues that do not clash, uint8 [1, T]; not all have one solution."""
    board_1T, share = draw(full_boards(shape)), draw(st.floats(0, 1))
    shown_1T = np.random.default_rng(draw(seeds)).random(board_1T.shape) < share
    return np.where(shown_1T, board_1T, 0).astype(np.uint8)


def bdh_of_texts(n: int, pieces: tuple[int, int], **options: st.SearchStrategy) -> st.SearchStrategy[Config]:
    """BDH of every form on texts, with n neurons in two heads that are one, or joined of `pieces`; `options` are drawn too, or otherwise."""
    drawn = {
        "form": st.sampled_from(["released", "paper", "normfree"]),
        "layers": st.integers(1, 3),
        "shared": st.booleans(),
        "positions": st.sampled_from(["rotary", "alibi", "rotary+alibi", "none"]),
        "scaled": st.booleans(),
        "strict": st.booleans(),
        "pieces": st.sampled_from([(), pieces]),
    }
    return st.builds(Config, d=st.just(4), n=st.just(n), heads=st.just(2), relations=st.just(False), **drawn | options)

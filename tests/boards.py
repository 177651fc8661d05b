"""Small boards that belong to no task, one of each kind a model has to read.

Axes: N problems, T positions, t tokens, K coordinates, R relations, G groups, k members of a group.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bdh_reason.task import Board, View

BLANK = ord(".")


def sudoku(box_rows: int, box_cols: int, view: View) -> Board:
    """Rows, columns and boxes of box_rows · box_cols cells. Cells: 3 relations; candidates: 4, cell, row-digit, column-digit and box-digit."""
    n = box_rows * box_cols
    row_T, column_T = np.divmod(np.arange(n * n), n)
    units_T3 = np.stack([row_T, column_T, row_T // box_rows * box_rows + column_T // box_cols], 1)
    cell_t, digit_t = (axis.ravel() for axis in np.indices((n * n, n)))
    candidates = view == "candidates"
    coordinates_tK = units_T3[cell_t] if candidates else units_T3
    families = [cell_t, *(units_T3[cell_t] * n + digit_t[:, None]).T] if candidates else units_T3.T
    groups_RGk = np.stack([np.argsort(family_t, kind="stable").reshape(-1, n) for family_t in families])
    return Board(view, "grid", n * n, b"123456789"[:n], BLANK, coordinates_tK.astype(np.int16), groups_RGk.astype(np.int32))


def masked(board: Board, itself: bool) -> Board:
    """The same relations as a mask; `itself` says whether a token is related to itself."""
    assert board.groups_RGk is not None
    mask_RTT = np.zeros((board.relations, board.tokens, board.tokens), bool)
    for relation, groups_Gk in enumerate(board.groups_RGk):
        for group_k in groups_Gk:
            mask_RTT[relation, group_k[:, None], group_k] = True
    mask_RTT[:, np.arange(board.tokens), np.arange(board.tokens)] = itself
    return replace(board, groups_RGk=None, mask_RTT=mask_RTT)


def line(reading: str, positions: int) -> Board:
    """A line of letters without relations, whose one coordinate is the place."""
    return Board("cells", reading, positions, b"abc", BLANK, np.arange(positions, dtype=np.int16)[:, None])  # type: ignore[arg-type]


def prompts(board: Board, rng: np.random.Generator, n: int) -> np.ndarray:
    """n prompts of symbols and blanks, about half of each, uint8 [N, T]."""
    symbols_NT = board.spell(rng.integers(0, len(board.symbols), (n, board.positions)))
    return np.where(rng.random(symbols_NT.shape) < 0.5, symbols_NT, board.blank).astype(np.uint8)


CELLS = sudoku(2, 2, "cells")
BOARDS = {
    "candidates": sudoku(2, 2, "candidates"),
    "cells": CELLS,
    "mask": masked(CELLS, itself=True),
    "plain": line("grid", 6),
    "sequence": line("sequence", 9),
}

"""The 9×9 board for search, by digit: for each digit and each band of three rows one word of the cells that may still hold the digit.

All digits and bands are worked on at once (lanes.py), without tables or jumps. A word has ten bits a row, nine cells and a spare one, which lets a
carry or a borrow mark a row. The same interface as cells.py, and the same deductions and choices: both make the same guesses.

Axes: T = 81 cells, W = 36 words, 4·digit + band.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from .lanes import count, every, load, lowest, next_band, nonzero, select, store, tally, word

DEAD, OPEN, SOLVED = -1, 0, 1


def _in_rows(bits: int) -> int:
    """A pattern of one row in all three rows of a word."""
    return bits | bits << 10 | bits << 20


_BOARD, _FIRST, _SPARE, _ROW = _in_rows(0o777), _in_rows(1), _in_rows(1 << 9), 0o777
_COLUMN_1, _COLUMN_2, _COLUMN_3 = (_in_rows(0o111 << column) for column in range(3))  # of each box
_BOX_1, _BOX_2, _BOX_3 = (_in_rows(0o7 << 3 * box) for box in range(3))
_BANDS = np.uint64(0x777777777)  # the lanes in use
_DIGITS = np.uint64(0x111111111)  # the lanes of the first band


def _peers() -> np.ndarray:
    """uint32 [96 · 4]: for the cell at bit i of band b, at 4 · (32 b + i), the words of the 20 cells that share a unit with it."""
    row_T, column_T = np.divmod(np.arange(81), 9)
    box_T, band_T, bit_T = row_T // 3 * 3 + column_T // 3, row_T // 3, row_T % 3 * 10 + column_T
    words = np.zeros((96, 4), np.uint32)
    for cell in range(81):
        peer_T = (row_T == row_T[cell]) | (column_T == column_T[cell]) | (box_T == box_T[cell])
        peer_T[cell] = False
        for band in range(3):
            words[32 * band_T[cell] + bit_T[cell], band] = np.bitwise_or.reduce(1 << bit_T[peer_T & (band_T == band)])
    return words.ravel()


_PEERS = _peers()


@njit(cache=True, nogil=True)
def start(grid_T: np.ndarray, state_W: np.ndarray) -> None:
    """The state of a board with its clues, before any deduction."""
    state_W[:] = 0
    for band in range(3):
        for row in range(3):
            for column in range(9):
                digit = grid_T[27 * band + 9 * row + column]
                if digit:
                    state_W[4 * digit - 4 + band] |= np.uint32(1 << 10 * row + column)
    given = load(state_W, 0)
    blank = ~tally(given)[0] & _BOARD & select(_BANDS)
    store(state_W, 0, given | blank)


@njit(cache=True, nogil=True)
def candidates(state_W: np.ndarray, cell: int) -> int:
    """The digits a cell may hold, digit d as bit d - 1."""
    band, bit = cell // 27, cell // 9 % 3 * 10 + cell % 9
    mask = 0
    for digit in range(9):
        mask |= (state_W[4 * digit + band] >> bit & 1) << digit
    return mask


@njit(cache=True, nogil=True)
def restrict(state_W: np.ndarray, cell: int, mask: int) -> None:
    """Takes all digits that are not in `mask` from a cell."""
    band, bit = cell // 27, cell // 9 % 3 * 10 + cell % 9
    for digit in range(9):
        if not mask >> digit & 1:
            state_W[4 * digit + band] &= np.uint32(~(1 << bit))


@njit(cache=True, nogil=True)
def read(state_W: np.ndarray, grid_T: np.ndarray) -> None:
    """Writes the digits of a solved board."""
    for digit in range(9):
        for band in range(3):
            for row in range(3):
                bits = np.uint64(state_W[4 * digit + band] >> 10 * row & _ROW)
                grid_T[27 * band + 9 * row + lowest(bits)] = digit + 1


@njit(cache=True, nogil=True)
def _held(some: Any) -> Any:
    """The rows, all nine cells of them, that have a bit."""
    spare = (some + _BOARD) & _SPARE
    return spare - (spare >> 9)


@njit(cache=True, nogil=True)
def _along_rows(board: Any) -> Any:
    """Keeps what fits along the rows: within a band a digit takes each row once and each box once, a matching of three and three.

    A row's share of a box can hold the digit only if the other two rows can take the other two boxes, one way or the other.
    """
    share = (board | board >> 1 | board >> 2) & _COLUMN_1
    right = share >> 3 & (_BOX_1 | _BOX_2) | share << 6 & _BOX_3  # the next box of the same row
    left = share >> 6 & _BOX_1 | share << 3 & (_BOX_2 | _BOX_3)
    down_right, up_right = right >> 10 | right << 20, right >> 20 | right << 10
    down_left, up_left = left >> 10 | left << 20, left >> 20 | left << 10
    share = share & (down_right & up_left | down_left & up_right)
    return board & (share | share << 1 | share << 2)


@njit(cache=True, nogil=True)
def _along_columns(board: Any) -> Any:
    """The same along the columns: within a stack of boxes a digit takes each column once and each band once."""
    share = (board | board >> 10 | board >> 20) & _ROW
    right = share >> 1 & (_COLUMN_1 | _COLUMN_2) | share << 2 & _COLUMN_3  # the next column of the same box
    left = share >> 2 & _COLUMN_1 | share << 1 & (_COLUMN_2 | _COLUMN_3)
    down_right, down_left = next_band(right), next_band(left)
    share = share & (down_right & next_band(down_left) | down_left & next_band(down_right))
    return board & (share | share << 10 | share << 20)


@njit(cache=True, nogil=True)
def propagate(state_W: np.ndarray) -> int:
    """Deduces until nothing new follows: naked singles, hidden singles and locked candidates. DEAD, OPEN or SOLVED.

    A digit's only place in a box or a column becomes its only place in a row by the two matchings, so rows are all that is asked for singles.
    """
    board = load(state_W, 0)
    while True:
        board = _along_rows(board)
        narrowed = _along_columns(board)
        if nonzero(narrowed) != _BANDS:
            return DEAD
        some, several = tally(narrowed)[:2]
        hidden = narrowed & ~_held(narrowed & (narrowed - _FIRST))  # alone in its row
        taken, clash = tally(hidden)[:2]
        naked = narrowed & some & ~several
        twins = naked & ((naked | _SPARE) - _FIRST)  # a digit as the only one of two cells of a row
        if nonzero((~some & _BOARD) | clash | twins) & _BANDS:
            return DEAD
        settled = narrowed & (~_held(naked) | naked) & (~taken | hidden)
        if not nonzero(settled ^ board):
            break
        board = settled
    store(state_W, 0, board)
    return OPEN if nonzero(several) else SOLVED


@njit(cache=True, nogil=True)
def branch(state_W: np.ndarray, other_W: np.ndarray) -> None:
    """Splits an open board by one candidate: `other_W` becomes the board with it, `state_W` the board without it.

    The cell is one of those with the fewest candidates, and among them the first for which the most candidates of its peers hang on the choice,
    those of peers with two candidates counted three times. The digit is the cell's lowest.
    """
    board = load(state_W, 0)
    pairs = _exactly(board, 2)
    fewest = pairs
    size = 2
    while not nonzero(fewest):
        size += 1
        fewest = _exactly(board, size)
    best, best_cell = -1, 0
    for band in range(3):
        cells = np.uint64(word(fewest, band))
        while cells:
            cell = 32 * band + lowest(cells)
            cells &= cells - np.uint64(1)
            digits = nonzero(_of_cell(board, cell)) >> np.uint64(band)
            touched = board & every(_PEERS, 4 * cell) & select(digits * np.uint64(0b1111))
            score = count(touched) + 2 * count(touched & pairs)
            if score > best:
                best, best_cell = score, cell
    cell = _of_cell(board, best_cell)
    chosen = cell & select(np.uint64(1) << np.uint64(lowest(nonzero(cell))))
    store(other_W, 0, (board ^ cell) | chosen)
    store(state_W, 0, board ^ chosen)


@njit(cache=True, nogil=True)
def _of_cell(board: Any, cell: int) -> Any:
    """The candidates of the cell at bit i of band b, given as 32 b + i."""
    return board & select(_DIGITS << np.uint64(cell // 32)) & (1 << cell % 32)


@njit(cache=True, nogil=True)
def _exactly(board: Any, size: int) -> Any:
    """The cells with `size` candidates, the same for every digit."""
    some = tally(board)
    return some[8] if size == 9 else some[size - 1] & ~some[size]

"""One board for all boards that are the same puzzle: a canonical form under the whole symmetry group, for puzzles and full boards of every shape.

Rows, columns and digits are coloured, and the colours are refined by the clues they share until nothing new is told apart. Where lines still look
alike, each of them in turn is singled out and the refinement goes on: a search tree whose leaves are arrangements of the board. The form is the
least leaf by (trace of the colours at each level, cells), so it depends on the puzzle alone; it is not the lexicographically least board. Two
leaves with equal cells are a symmetry of the puzzle itself, and branches that such symmetries carry onto explored ones are cut (the scheme of
McKay and Piperno, "Practical graph isomorphism, II", 2014). Colours are 64-bit hashes: a collision would cost time, never exactness.

Axes: N boards, T cells, n lines a side, V = 3n vertices (rows, columns, digits; lines are the first 2n), E clues, L levels of the search.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from numba import njit

from .shape import Shape
from .symmetry import mix

_KINDS = (np.uint64(2), np.uint64(4), np.uint64(6))  # the first colours of rows, columns and digits
_CHOSEN = np.uint64(0x9E3779B97F4A7C15)
_EMPTY = np.uint64(2**64 - 1)  # the colour of lines and digits without a clue: the greatest, and odd where all others are even
_EVEN = np.uint64(2**64 - 2)
_NONE = -1  # no line is singled out


class _Search(NamedTuple):
    """The board that is searched and all that the search writes to; the arrays serve one board after the other."""

    clue_E3: np.ndarray  # the row, column and digit of each clue
    colour_LV: np.ndarray  # at each level of the current path
    sum_V: np.ndarray  # what a round of the refinement adds up
    cell_L: np.ndarray  # the colour that is branched on
    path_L: np.ndarray  # the line that is singled out
    orbit_LV: np.ndarray  # equal for lines that known symmetries exchange without moving the path above the level
    order_V: np.ndarray  # the current leaf: which row and which column comes where
    board_T: np.ndarray  # and its cells
    best_trace_L: np.ndarray
    best_path_L: np.ndarray
    best_order_V: np.ndarray
    best_T: np.ndarray


def canonical(shape: Shape, grid_NT: np.ndarray) -> np.ndarray:
    """The canonical form of each board, uint8 [N, T]: a board of the same class, equal for exactly the boards of that class."""
    n, vertices, levels = shape.n, 3 * shape.n, 2 * shape.n + 1
    search = _Search(
        np.zeros((shape.cells, 3), np.int64),
        np.zeros((levels, vertices), np.uint64),
        np.zeros(vertices, np.uint64),
        np.zeros(levels, np.uint64),
        np.zeros(levels, np.int64),
        np.zeros((levels, 2 * n), np.int64),
        np.zeros(2 * n, np.int64),
        np.zeros(shape.cells, np.uint8),
        np.zeros(levels, np.uint64),
        np.zeros(levels, np.int64),
        np.zeros(2 * n, np.int64),
        np.zeros(shape.cells, np.uint8),
    )
    return _canonical(np.ascontiguousarray(grid_NT), shape.box_rows, shape.box_cols, search)


def family(shape: Shape, grid_NT: np.ndarray) -> np.ndarray:
    """A hash of each board's class under all symmetries, uint64 [N]: BLAKE2b of the shape and the canonical form.

    Boards of upright boxes are turned to those of lying ones, so that a 3×2 board is of one family with the 2×3 board it mirrors.
    """
    if shape.box_rows > shape.box_cols:
        shape = Shape(shape.box_cols, shape.box_rows)
        grid_NT = np.ascontiguousarray(grid_NT.reshape(-1, shape.n, shape.n).mT.reshape(len(grid_NT), -1))
    salt = bytes([shape.box_rows, shape.box_cols])
    digests = b"".join(hashlib.blake2b(salt + row.tobytes(), digest_size=8).digest() for row in canonical(shape, grid_NT))
    return np.frombuffer(digests, "<u8").astype(np.uint64)


@njit(cache=True, nogil=True)
def _canonical(grid_NT: np.ndarray, box_rows: int, box_cols: int, s: _Search) -> np.ndarray:
    out_NT = np.empty_like(grid_NT)
    for i in range(len(grid_NT)):
        known = int(np.int64(0))  # a plain 0 is a type of its own for numba, and everything would be compiled twice
        for turned in range(2 if box_rows == box_cols else 1):
            s.best_path_L[0] = _NONE
            known = _explore(s, grid_NT[i], box_rows, box_cols, turned, known)
        _copy(s.best_T, out_NT[i])
    return out_NT


@njit(cache=True, nogil=True)
def _explore(s: _Search, grid_T: np.ndarray, box_rows: int, box_cols: int, turned: int, known: int) -> int:
    """Searches the board, transposed if `turned`, for a leaf below the best one, whose first `known` traces are known; returns the new `known`.

    The traces of the current path never lie above the best ones, so a node with a greater trace is left at once and a smaller one restarts the best.
    """
    clues = _load(s, grid_T, turned)
    level, entered = int(np.int64(0)), True
    while level >= 0:
        if entered:
            trace, s.cell_L[level] = _refine(s, clues, s.colour_LV[level], box_rows, box_cols)
            better = bool(level >= known or trace < s.best_trace_L[level])
            if better:
                s.best_trace_L[level], known = trace, level + 1
            if not better and trace > s.best_trace_L[level]:
                level -= 1
            elif trace & np.uint64(1):
                level = _leaf(s, grid_T, box_rows, box_cols, turned, level, better)
            else:
                s.path_L[level] = _NONE
                for v in range(len(s.order_V)):
                    s.orbit_LV[level, v] = v
            entered = False
        elif _advance(s, level):
            level, entered = level + 1, True
        else:
            level -= 1
    return known


@njit(cache=True, nogil=True)
def _load(s: _Search, grid_T: np.ndarray, turned: int) -> int:
    """Lists the clues, colours the vertices that have one, and returns how many clues there are."""
    n, clues, colour_V = len(s.order_V) // 2, 0, s.colour_LV[0]
    colour_V.fill(_EMPTY)
    for row in range(n):
        for column in range(n):
            digit = grid_T[column * n + row if turned else row * n + column]
            if digit:
                for kind, v in enumerate((row, n + column, 2 * n + digit - 1)):
                    s.clue_E3[clues, kind], colour_V[v] = v, _KINDS[kind]
                clues += 1
    return clues


@njit(cache=True, nogil=True)
def _refine(s: _Search, clues: int, colour_V: np.ndarray, box_rows: int, box_cols: int) -> tuple[np.uint64, np.uint64]:
    """Refines the colours in place until no round tells more apart; returns their trace, odd for a leaf, and the colour to branch on."""
    sum_V = s.sum_V
    n, before = len(sum_V) // 3, 0
    while True:
        sum_V.fill(np.uint64(0))
        for row, column, digit in s.clue_E3[:clues]:
            seen = mix(colour_V[row] + colour_V[column] + colour_V[digit])
            sum_V[row] += seen
            sum_V[column] += seen
            sum_V[digit] += seen
        for v in range(len(sum_V)):
            sum_V[v] = np.uint64(0) if colour_V[v] == _EMPTY else mix(colour_V[v] + sum_V[v])
        for first, size in ((0, box_rows), (n, box_cols), (2 * n, 1)):
            for block in range(first, first + n, size):
                together = np.uint64(0)
                for v in range(block, block + size):
                    together += sum_V[v]
                together = mix(together)
                for v in range(block, block + size):
                    if colour_V[v] != _EMPTY:
                        colour_V[v] = mix(sum_V[v] + together) & _EVEN
        distinct, cell = _cells(colour_V, n)
        if cell == _EMPTY or distinct == before:
            break
        before = distinct
    trace = np.uint64(0)
    for v in range(len(sum_V)):
        trace += sum_V[v]
    return (trace & _EVEN) | np.uint64(cell == _EMPTY), cell


@njit(cache=True, nogil=True)
def _cells(colour_V: np.ndarray, n: int) -> tuple[int, np.uint64]:
    """How many colours there are, and the colour of the most lines that share one, the least of such; _EMPTY if all lines differ."""
    distinct, most, cell = 0, 1, _EMPTY
    for v in range(len(colour_V)):
        colour, alike, first = colour_V[v], 0, colour_V[v] != _EMPTY
        for u in range(len(colour_V)):
            if colour_V[u] == colour:
                alike += 1
                first &= u >= v
        if first:
            distinct += 1
            if v < 2 * n and alike > 1 and (alike > most or (alike == most and colour < cell)):
                most, cell = alike, colour
    return distinct, cell


@njit(cache=True, nogil=True)
def _advance(s: _Search, level: int) -> bool:
    """Singles out the next line at this level that no known symmetry carries onto an earlier one; False if there is none."""
    colour_V, orbit_V, cell = s.colour_LV[level], s.orbit_LV[level], s.cell_L[level]
    for v in range(s.path_L[level] + 1, len(orbit_V)):
        new = colour_V[v] == cell
        for u in range(v):
            new &= colour_V[u] != cell or orbit_V[u] != orbit_V[v]
        if new:
            s.path_L[level] = v
            _copy(colour_V, s.colour_LV[level + 1])
            s.colour_LV[level + 1, v] = mix(cell + _CHOSEN) & _EVEN
            return True
    return False


@njit(cache=True, nogil=True)
def _leaf(s: _Search, grid_T: np.ndarray, box_rows: int, box_cols: int, turned: int, level: int, better: bool) -> int:
    """Compares the leaf's cells with the best ones (it is the best if `better`) and returns the level to go on from."""
    n = box_rows * box_cols
    _arrange(s.order_V, s.colour_LV[level], 0, n, box_rows)
    _arrange(s.order_V, s.colour_LV[level], n, n, box_cols)
    _write(s, grid_T, turned)
    for cell in range(n * n):
        if better or s.board_T[cell] != s.best_T[cell]:
            if better or s.board_T[cell] < s.best_T[cell]:
                _copy(s.board_T, s.best_T)
                _copy(s.order_V, s.best_order_V)
                _copy(s.path_L, s.best_path_L)
            return level - 1
    if s.best_path_L[0] == _NONE:  # the board equals its transpose: everything below was explored there
        return -1
    return _merge(s, level)


@njit(cache=True, nogil=True)
def _copy(old: np.ndarray, new: np.ndarray) -> None:
    """A slice assignment does the same, and takes the compiler seconds."""
    for i in range(len(old)):
        new[i] = old[i]


@njit(cache=True, nogil=True)
def _arrange(order_V: np.ndarray, colour_V: np.ndarray, first: int, n: int, size: int) -> None:
    """Sorts the lines `first` … `first + n - 1` by the least colour of their block, then by their own; lines without clues come last."""
    lead_n = np.empty(n, np.uint64)
    for i in range(n):
        lead_n[i] = _EMPTY
        for v in range(first + i - i % size, first + i - i % size + size):
            lead_n[i] = min(lead_n[i], colour_V[v])
    for i in range(n):
        place = first + i
        while place > first:
            other = order_V[place - 1] - first
            if lead_n[other] < lead_n[i] or (lead_n[other] == lead_n[i] and colour_V[first + other] <= colour_V[first + i]):
                break
            order_V[place] = first + other
            place -= 1
        order_V[place] = first + i


@njit(cache=True, nogil=True)
def _write(s: _Search, grid_T: np.ndarray, turned: int) -> None:
    """Writes the leaf's cells in its order, digits renamed 1, 2, … as they appear."""
    n = len(s.order_V) // 2
    name_D, names, cell = np.zeros(n + 1, np.uint8), 0, 0
    for row in s.order_V[:n]:
        for column in s.order_V[n:] - n:
            digit = grid_T[column * n + row if turned else row * n + column]
            if digit and not name_D[digit]:
                names += 1
                name_D[digit] = names
            s.board_T[cell] = name_D[digit]
            cell += 1


@njit(cache=True, nogil=True)
def _merge(s: _Search, level: int) -> int:
    """The leaf has the best one's cells: records the symmetry between them and returns the level at which their paths part."""
    part = 0
    while s.path_L[part] == s.best_path_L[part]:
        part += 1
    image_V = np.empty_like(s.order_V)
    for place in range(len(image_V)):
        image_V[s.best_order_V[place]] = s.order_V[place]
    for above in range(part):
        if image_V[s.path_L[above]] != s.path_L[above]:
            return level - 1
    for above in range(part + 1):
        orbit_V = s.orbit_LV[above]
        for v in range(len(image_V)):
            old, new = orbit_V[v], orbit_V[image_V[v]]
            for u in range(len(orbit_V) if old != new else 0):
                orbit_V[u] = new if orbit_V[u] == old else orbit_V[u]
    return part

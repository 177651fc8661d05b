"""The puzzles one clue away: a clue is removed and another put anywhere, exhaustively.

Without the clue a puzzle has several solutions. A digit that stands in a cell in exactly one of them makes that one the only solution, so every
such digit is a clue that may take the place of the old one, without asking the solver again (forum players call this {-1+1}). Of the clues that
single out the same solution one is drawn at random.

Axes: N roots, M neighbours, S solutions, T cells, n digits. Boards are uint8, 0 for a blank.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from . import cells
from .generator import _below
from .shape import Shape
from .solver import geometry, search, stack, start

_SOLUTIONS = 100  # a clue without which there are more is left in place: they take longer and lead to easier puzzles
_GUESSES = 100_000
_EACH = 256  # neighbours kept of one root


def neighbours(shape: Shape, rng: np.random.Generator, root_NT: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Puzzles with one solution that differ from a root, a puzzle with one solution, by one exchanged clue and in the solution.

    Returns the puzzles uint8 [M, T], their solutions uint8 [M, T] and the index of their root int64 [M].
    """
    seed = rng.integers(0, 2**64, dtype=np.uint64)
    return _neighbours(geometry(shape), np.ascontiguousarray(root_NT), seed, shape.n)


@njit(cache=True, nogil=True)
def _neighbours(geometry: cells.Geometry | None, root_NT: np.ndarray, state: np.uint64, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    roots, cells_T = root_NT.shape
    puzzle_MT, solution_MT = np.zeros((roots * _EACH, cells_T), np.uint8), np.zeros((roots * _EACH, cells_T), np.uint8)
    root_M = np.zeros(roots * _EACH, np.int64)
    stack_LW, found_ST, seen_Tn = stack(geometry), np.zeros((_SOLUTIONS, cells_T), np.uint8), np.zeros((cells_T, n + 1), np.int64)
    m = 0
    for i in range(roots):
        puzzle_T, first = root_NT[i].copy(), m
        for clue in range(cells_T):
            digit = puzzle_T[clue]
            if digit:
                puzzle_T[clue] = 0
                start(geometry, puzzle_T, stack_LW[0])
                solutions = search(geometry, stack_LW, _SOLUTIONS, _GUESSES, found_ST)[0]
                if 1 < solutions < _SOLUTIONS:
                    _count(found_ST[:solutions], seen_Tn)
                    for s in range(solutions):
                        state, cell = _singular(found_ST[s], seen_Tn, state)
                        if found_ST[s, clue] != digit and cell >= 0 and m - first < _EACH:
                            puzzle_MT[m], solution_MT[m], root_M[m] = puzzle_T, found_ST[s], i
                            puzzle_MT[m, cell] = found_ST[s, cell]
                            m += 1
                puzzle_T[clue] = digit
    return puzzle_MT[:m].copy(), solution_MT[:m].copy(), root_M[:m].copy()


@njit(cache=True, nogil=True)
def _count(found_ST: np.ndarray, seen_Tn: np.ndarray) -> None:
    """In how many of the solutions each digit stands in each cell."""
    seen_Tn[:] = 0
    for s in range(len(found_ST)):
        for cell in range(len(seen_Tn)):
            seen_Tn[cell, found_ST[s, cell]] += 1


@njit(cache=True, nogil=True)
def _singular(solution_T: np.ndarray, seen_Tn: np.ndarray, state: np.uint64) -> tuple[np.uint64, int]:
    """A random cell in which no other solution has this one's digit, -1 if there is none."""
    chosen, choices = -1, 0
    for cell in range(len(solution_T)):
        if seen_Tn[cell, solution_T[cell]] == 1:
            choices += 1
            state, at = _below(state, choices)
            if at == 0:
                chosen = cell
    return state, chosen

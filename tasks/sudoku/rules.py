"""The rules of Sudoku and nothing else: no digit twice in a row, a column or a box.

Axes: N boards, T cells, U units, n cells of a unit. Boards are uint8 [N, T], 0 for a blank, digits 1…n.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .shape import Shape


def clashes(shape: Shape, grid_NT: np.ndarray) -> np.ndarray:
    """Whether some unit holds a digit twice, bool [N]. Blanks never clash, so the clues of a puzzle can be checked as well as a full board."""
    return _clashes(np.ascontiguousarray(grid_NT), shape.units_Un)


def valid(shape: Shape, grid_NT: np.ndarray) -> np.ndarray:
    """Whether a board is full, uses only the digits 1…n and obeys every unit, bool [N]."""
    full_N = ((grid_NT > 0) & (grid_NT <= shape.n)).all(1)
    return full_N & ~clashes(shape, grid_NT)


@njit(cache=True, nogil=True)
def _clashes(grid_NT: np.ndarray, units_Un: np.ndarray) -> np.ndarray:
    found_N = np.zeros(len(grid_NT), np.bool_)
    for i in range(len(grid_NT)):
        for unit in range(len(units_Un)):
            seen = twice = 0
            for cell in units_Un[unit]:
                bit = (1 << grid_NT[i, cell]) & ~1
                twice |= seen & bit
                seen |= bit
            if twice:
                found_N[i] = True
                break
    return found_N

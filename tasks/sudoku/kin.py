"""A number that full boards of one class share: what the symmetries of a Sudoku leave of how its lines are permuted into each other.

Two rows of a band pair up the digits, a permutation without fixed points, and its cycle lengths are the same however rows, columns and digits are
renamed; columns of a stack likewise. The number hashes the lengths of all such pairs. Boards of different classes may share it (seldom on 9×9), so it
cannot tell puzzles apart as canonical.py does, but whatever it decides is decided alike for a whole class, and fast.

Axes: N boards, T cells. Boards are uint8 [N, T], full.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .shape import Shape
from .symmetry import mix


def kin(shape: Shape, solution_NT: np.ndarray) -> np.ndarray:
    """uint64 [N], equal for boards of the same class under all symmetries."""
    return _kin(np.ascontiguousarray(solution_NT), shape.box_rows, shape.box_cols)


@njit(cache=True, nogil=True)
def _kin(grid_NT: np.ndarray, box_rows: int, box_cols: int) -> np.ndarray:
    n = box_rows * box_cols
    next_D = np.zeros(n + 1, np.int64)
    kin_N = np.zeros(len(grid_NT), np.uint64)
    for i in range(len(grid_NT)):
        for size, line, step in ((box_rows, n, 1), (box_cols, 1, n)):  # rows in bands, then columns in stacks
            for block in range(0, n, size):
                kin_N[i] += _block(grid_NT[i], next_D, block, size, line, step)
    return kin_N


@njit(cache=True, nogil=True)
def _block(grid_T: np.ndarray, next_D: np.ndarray, block: int, size: int, line: int, step: int) -> np.uint64:
    """What all pairs of a block's lines come to; their order makes no difference. Cells of a line are `step` apart, lines `line` apart."""
    n = len(next_D) - 1
    pairs = np.uint64(0)
    for one in range(block, block + size):
        for other in range(one + 1, block + size):
            for cell in range(n):
                next_D[grid_T[one * line + cell * step]] = grid_T[other * line + cell * step]
            cycles = np.uint64(0)
            for first in range(1, n + 1):
                digit, length = first, 0
                while next_D[digit]:
                    next_D[digit], digit = 0, next_D[digit]
                    length += 1
                if length:
                    cycles += mix(np.uint64(length))
            pairs += mix(cycles)
    return mix(pairs + np.uint64(size))

"""The symmetry group of a Sudoku: what may be changed on a board without changing the puzzle.

Digits may be renamed; bands (rows of boxes), rows inside a band, stacks (columns of boxes) and columns inside a stack may be reordered; a board
with square boxes may be transposed as well. A transpose of other boxes gives a board of another shape, so it is left out there.

Axes: N boards, T cells, n digits. Boards are uint8 [N, T], 0 for a blank.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .shape import Shape

_STEP = np.uint64(0x9E3779B97F4A7C15)  # the state of SplitMix64 moves by this at every draw


def transform(shape: Shape, rng: np.random.Generator, *grids_NT: np.ndarray) -> tuple[np.ndarray, ...]:
    """Every board under its own random symmetry, drawn uniformly from the group; all `grids_NT` share the symmetry of their row.

    Grids are uint8 [N, T] of equal N, e.g. puzzles and their solutions. The result is a tuple of as many new arrays, one for a single grid too.
    """
    seeds_N = rng.integers(0, 2**64, len(grids_NT[0]), np.uint64)
    return tuple(_transform(np.ascontiguousarray(grid_NT), seeds_N, shape.box_rows, shape.box_cols) for grid_NT in grids_NT)


@njit(cache=True, nogil=True)
def _transform(grid_NT: np.ndarray, seed_N: np.ndarray, box_rows: int, box_cols: int) -> np.ndarray:
    """One symmetry per row, a function of the row's seed alone, so that several arrays can be put through the same ones."""
    n = box_rows * box_cols
    row_n, column_n = np.empty(n, np.int64), np.empty(n, np.int64)
    out_NT = np.empty_like(grid_NT)
    for i in range(len(grid_NT)):
        digit_n = np.arange(n + 1)
        state = _shuffle(digit_n, 1, n, seed_N[i])
        state = _arrange(row_n, box_cols, box_rows, state)
        state = _arrange(column_n, box_rows, box_cols, state)
        down, right = n, 1
        if box_rows == box_cols and mix(state + _STEP) & np.uint64(1):
            down, right = 1, n
        cell = 0
        for row in row_n:
            for column in column_n:
                out_NT[i, cell] = digit_n[grid_NT[i, row * down + column * right]]
                cell += 1
    return out_NT


@njit(cache=True, nogil=True)
def _arrange(line_n: np.ndarray, blocks: int, size: int, state: np.uint64) -> np.uint64:
    """Fills `line_n` with a random order of n = blocks · size lines that keeps the lines of a block together."""
    block_b = np.arange(blocks)
    state = _shuffle(block_b, 0, blocks, state)
    for b in range(blocks):
        for k in range(size):
            line_n[b * size + k] = block_b[b] * size + k
        state = _shuffle(line_n, b * size, size, state)
    return state


@njit(cache=True, nogil=True)
def _shuffle(items: np.ndarray, first: int, count: int, state: np.uint64) -> np.uint64:
    """Shuffles `items[first : first + count]` in place (Fisher and Yates) and returns the generator's next state."""
    for i in range(count - 1, 0, -1):
        state += _STEP
        j = np.int64(((mix(state) >> np.uint64(32)) * np.uint64(i + 1)) >> np.uint64(32))
        items[first + i], items[first + j] = items[first + j], items[first + i]
    return state


@njit(cache=True, nogil=True)
def mix(bits: np.uint64) -> np.uint64:
    """Scrambles 64 bits, one to one: the finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))

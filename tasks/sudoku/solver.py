"""Exact search: how many solutions a puzzle has, the first of them, and how often it had to guess. Depth first, on an explicit stack.

Two boards serve it: cells.py for every shape, and bands.py for 9×9, some 25 times as fast. They deduce and choose alike.

Axes: N puzzles, T cells, L levels of the search, W words of a board's state, S solutions kept. Grids are uint8, 0 for a blank.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from bdh_reason.errors import UserError

from . import bands, cells
from .bands import OPEN, SOLVED
from .lanes import WORDS
from .shape import Shape

UNDECIDED = -1  # in place of a number of solutions, where the guesses ran out


@dataclass(frozen=True)
class Solved:
    """solutions_N int64, counted up to the limit · guesses_N int64, branches taken · first_NT uint8, the first solution, zeros where there is none."""

    solutions_N: np.ndarray
    guesses_N: np.ndarray
    first_NT: np.ndarray


def solve(shape: Shape, grid_NT: np.ndarray, limit: int = 2, max_guesses: int = 1_000_000) -> Solved:
    """Counts the solutions of each puzzle up to `limit`. Clues that contradict each other have none.

    Raises UserError for a grid that is not of this shape, and where `max_guesses` did not suffice for a puzzle.
    """
    if grid_NT.ndim != 2 or grid_NT.shape[1] != shape.cells or grid_NT.max(initial=0) > shape.n:
        raise UserError(f"grids of shape {grid_NT.shape} with digits up to {grid_NT.max(initial=0)}", f"[N, {shape.cells}] with digits up to {shape.n}")
    first_NT = np.zeros(grid_NT.shape, np.uint8)
    solutions_N, guesses_N = _solve(geometry(shape), np.ascontiguousarray(grid_NT), limit, max_guesses, first_NT)
    if (solutions_N == UNDECIDED).any():
        given = f"puzzle {int(np.argmin(solutions_N))} (counted from 0) is not decided after {max_guesses:,} guesses"
        raise UserError(given, remedy="raise max_guesses or give more clues")
    return Solved(solutions_N, guesses_N, first_NT)


def geometry(shape: Shape) -> cells.Geometry | None:
    """What the functions below need to know of a shape: None stands for 9×9, where bands.py knows all."""
    return None if (shape.box_rows, shape.box_cols) == (3, 3) else cells.geometry(shape)


@njit(cache=True, nogil=True)
def _solve(geometry: cells.Geometry | None, grid_NT: np.ndarray, limit: int, max_guesses: int, first_NT: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    solutions_N, guesses_N = np.zeros(len(grid_NT), np.int64), np.zeros(len(grid_NT), np.int64)
    stack_LW = stack(geometry)
    for i in range(len(grid_NT)):
        start(geometry, grid_NT[i], stack_LW[0])
        solutions_N[i], guesses_N[i] = search(geometry, stack_LW, limit, max_guesses, first_NT[i : i + 1])
    return solutions_N, guesses_N


@njit(cache=True, nogil=True)
def search(geometry: cells.Geometry | None, stack_LW: np.ndarray, limit: int, max_guesses: int, found_ST: np.ndarray) -> tuple[int, int]:
    """The solutions of the state in `stack_LW[0]`, counted up to `limit`, and the guesses; as many solutions as fit are kept in `found_ST`.

    UNDECIDED in place of the count where it needs more than `max_guesses`.
    """
    solutions = guesses = level = 0
    while level >= 0:
        state = propagate(geometry, stack_LW[level])
        if state == OPEN:
            if guesses == max_guesses:
                return UNDECIDED, guesses
            guesses += 1
            branch(geometry, stack_LW[level], stack_LW[level + 1])
            level += 1
            continue
        if state == SOLVED:
            if solutions < len(found_ST):
                read(geometry, stack_LW[level], found_ST[solutions])
            solutions += 1
            if solutions == limit:
                break
        level -= 1
    return solutions, guesses


@njit(cache=True, nogil=True)
def stack(geometry: cells.Geometry | None) -> np.ndarray:
    """Room for a search, uint32 [L, W]: every level but the first has settled one more cell."""
    if geometry is None:
        return np.zeros((82, WORDS), np.uint32)
    return np.zeros((len(geometry.unit_T3) + 1, len(geometry.unit_T3) + len(geometry.units_Un)), np.uint32)


@njit(cache=True, nogil=True)
def start(geometry: cells.Geometry | None, grid_T: np.ndarray, state_W: np.ndarray) -> None:
    """The state of a grid before any deduction."""
    if geometry is None:
        bands.start(grid_T, state_W)
    else:
        cells.start(geometry, grid_T, state_W)


@njit(cache=True, nogil=True)
def candidates(geometry: cells.Geometry | None, state_W: np.ndarray, cell: int) -> int:
    """The digits a cell may hold, digit d as bit d - 1."""
    if geometry is None:
        return bands.candidates(state_W, cell)
    return state_W[cell]


@njit(cache=True, nogil=True)
def restrict(geometry: cells.Geometry | None, state_W: np.ndarray, cell: int, mask: int) -> None:
    """Takes all digits that are not in `mask` from a cell."""
    if geometry is None:
        bands.restrict(state_W, cell, mask)
    else:
        cells.restrict(geometry, state_W, cell, mask)


@njit(cache=True, nogil=True)
def propagate(geometry: cells.Geometry | None, state_W: np.ndarray) -> int:
    """Deduces until nothing new follows. DEAD, OPEN or SOLVED."""
    if geometry is None:
        return bands.propagate(state_W)
    return cells.propagate(geometry, state_W)


@njit(cache=True, nogil=True)
def branch(geometry: cells.Geometry | None, state_W: np.ndarray, other_W: np.ndarray) -> None:
    """Splits an open board by one candidate: `other_W` becomes the board with it, `state_W` the board without it."""
    if geometry is None:
        bands.branch(state_W, other_W)
    else:
        cells.branch(geometry, state_W, other_W)


@njit(cache=True, nogil=True)
def read(geometry: cells.Geometry | None, state_W: np.ndarray, grid_T: np.ndarray) -> None:
    """Writes the digits of a solved board."""
    if geometry is None:
        bands.read(state_W, grid_T)
    else:
        cells.read(geometry, state_W, grid_T)

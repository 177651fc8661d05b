"""A board of any shape for search, by cell: for each cell the digits it may still hold, digit d as bit d - 1. The same interface as bands.py.

Axes: T cells, U = 3n units (rows, columns, boxes), n cells of a unit, P peers of a cell (cells that share a unit with it), X crossings of a line
and a box, k cells of a crossing or of what is left of its line or its box, W = T + U words of a state: the cells, then one mark for each unit
whose deductions are out of date.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit

from .bands import DEAD, OPEN, SOLVED
from .shape import Shape


class Geometry(NamedTuple):
    """Which cells belong together, as int32 indices. Where a row of a crossing is shorter than its array, its first cell is repeated."""

    units_Un: np.ndarray
    unit_T3: np.ndarray  # the three units of a cell
    peers_TP: np.ndarray
    both_Xk: np.ndarray  # the cells that a line and a box share
    line_Xk: np.ndarray  # the other cells of the line
    box_Xk: np.ndarray  # the other cells of the box


@cache
def geometry(shape: Shape) -> Geometry:
    """The geometry of a shape, made once."""
    n, units_Un = shape.n, shape.units_Un
    unit_T3 = (shape.coordinates_T3 + np.arange(3) * n).astype(np.int32)
    peers = [np.setdiff1d(units_Un[unit_3], [cell]) for cell, unit_3 in enumerate(unit_T3)]
    crossings = [(line, box) for line in units_Un[: 2 * n] for box in units_Un[2 * n :] if len(np.intersect1d(line, box))]
    parts = ([which(a, b) for a, b in crossings] for which in (np.intersect1d, np.setdiff1d, lambda a, b: np.setdiff1d(b, a)))
    return Geometry(units_Un, unit_T3, np.stack(peers).astype(np.int32), *map(_filled, parts))


def _filled(rows: list[np.ndarray]) -> np.ndarray:
    longest = max(map(len, rows))
    return np.stack([np.append(row, np.full(longest - len(row), row[0])) for row in rows]).astype(np.int32)


@njit(cache=True, nogil=True)
def start(geometry: Geometry, grid_T: np.ndarray, state_W: np.ndarray) -> None:
    """The state of a board with its clues, before any deduction."""
    blank = (1 << geometry.units_Un.shape[1]) - 1
    for cell in range(len(grid_T)):
        state_W[cell] = 1 << grid_T[cell] - 1 if grid_T[cell] else blank
    state_W[len(grid_T) :] = 1


@njit(cache=True, nogil=True)
def restrict(geometry: Geometry, state_W: np.ndarray, cell: int, mask: int) -> None:
    """Takes all digits that are not in `mask` from a cell."""
    _restrict(geometry.unit_T3, state_W, cell, mask)


@njit(cache=True, nogil=True)
def _restrict(unit_T3: np.ndarray, state_W: np.ndarray, cell: int, mask: int) -> None:
    if state_W[cell] & ~mask:
        state_W[cell] &= mask
        for kind in range(3):
            state_W[len(unit_T3) + unit_T3[cell, kind]] = 1


@njit(cache=True, nogil=True)
def read(geometry: Geometry, state_W: np.ndarray, grid_T: np.ndarray) -> None:
    """Writes the digits of a solved board."""
    for cell in range(len(grid_T)):
        grid_T[cell] = size(state_W[cell] - 1) + 1


@njit(cache=True, nogil=True)
def size(mask: int) -> int:
    """How many digits a mask holds."""
    left, digits = np.int64(mask), 0
    while left:
        left &= left - 1
        digits += 1
    return digits


@njit(cache=True, nogil=True)
def propagate(geometry: Geometry, state_W: np.ndarray) -> int:
    """Deduces until nothing new follows: naked singles, hidden singles and locked candidates. DEAD, OPEN or SOLVED."""
    units_Un, unit_T3, _, both_Xk, line_Xk, box_Xk = geometry
    cells = len(unit_T3)
    stale = True
    while stale:
        while stale:
            stale = False
            for unit in range(len(units_Un)):
                if state_W[cells + unit]:
                    stale = True
                    state_W[cells + unit] = 0
                    if not _singles(units_Un, unit_T3, state_W, unit):
                        return DEAD
        for crossing in range(len(both_Xk)):
            stale |= _locked(both_Xk, line_Xk, box_Xk, unit_T3, state_W, crossing)
    for cell in range(cells):
        if state_W[cell] & (state_W[cell] - 1):
            return OPEN
    return SOLVED


@njit(cache=True, nogil=True)
def _singles(units_Un: np.ndarray, unit_T3: np.ndarray, state_W: np.ndarray, unit: int) -> bool:
    """One unit's singles: a cell with one digit takes it from the others, a digit with one cell takes it. False where that cannot be."""
    n = units_Un.shape[1]
    some = several = taken = 0
    for i in range(n):
        mask = state_W[units_Un[unit, i]]
        several |= some & mask
        some |= mask
        if not mask & (mask - 1):
            if not mask or taken & mask:
                return False
            taken |= mask
    if some != (1 << n) - 1:
        return False
    for i in range(n):
        mask = state_W[units_Un[unit, i]]
        if mask & (mask - 1):
            left = mask & ~taken
            hidden = left & ~several
            if hidden & (hidden - 1) or not left:
                return False
            _restrict(unit_T3, state_W, units_Un[unit, i], hidden if hidden else left)
    return True


@njit(cache=True, nogil=True)
def _locked(both_Xk: np.ndarray, line_Xk: np.ndarray, box_Xk: np.ndarray, unit_T3: np.ndarray, state_W: np.ndarray, crossing: int) -> bool:
    """A digit that a line has only inside a box leaves the rest of the box, and the other way round. Whether anything left."""
    both = _any(state_W, both_Xk, crossing)
    line = _any(state_W, line_Xk, crossing)
    box = _any(state_W, box_Xk, crossing)
    if both & ~line & box:
        for i in range(box_Xk.shape[1]):
            _restrict(unit_T3, state_W, box_Xk[crossing, i], ~(both & ~line))
    if both & ~box & line:
        for i in range(line_Xk.shape[1]):
            _restrict(unit_T3, state_W, line_Xk[crossing, i], ~(both & ~box))
    return both & (line ^ box) != 0


@njit(cache=True, nogil=True)
def _any(state_W: np.ndarray, cells_Xk: np.ndarray, crossing: int) -> int:
    """The digits that at least one of a crossing's cells may hold."""
    digits = 0
    for i in range(cells_Xk.shape[1]):
        digits |= state_W[cells_Xk[crossing, i]]
    return digits


@njit(cache=True, nogil=True)
def branch(geometry: Geometry, state_W: np.ndarray, other_W: np.ndarray) -> None:
    """Splits an open board by one candidate: `other_W` becomes the board with it, `state_W` the board without it.

    The cell is one of those with the fewest candidates, and among them the first for which the most candidates of its peers hang on the choice,
    those of peers with two candidates counted three times. The digit is the cell's lowest.
    """
    peers_TP = geometry.peers_TP
    fewest = 32
    for cell in range(len(peers_TP)):
        digits = size(state_W[cell])
        if 1 < digits < fewest:
            fewest = digits
    best, best_cell = -1, 0
    for cell in range(len(peers_TP)):
        if size(state_W[cell]) == fewest:
            score = 0
            for i in range(peers_TP.shape[1]):
                peer = state_W[peers_TP[cell, i]]
                score += size(state_W[cell] & peer) * (3 if size(peer) == 2 else 1)
            if score > best:
                best, best_cell = score, cell
    chosen = state_W[best_cell] & -state_W[best_cell]
    other_W[:] = state_W
    restrict(geometry, other_W, best_cell, chosen)
    restrict(geometry, state_W, best_cell, ~chosen)

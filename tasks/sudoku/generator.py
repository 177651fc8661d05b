"""Puzzles with exactly one solution, out of random full boards: clues are taken away in random order as long as the solution stays the only one.

A board is filled by random digits in random cells, each kept if deduction finds nothing against it, up to 12×12 until the board is full. On larger
boards that runs dry too often; there a fifth of the cells is placed so and the solver completes the rest. A clue is superfluous if no solution has
another digit in its place, which the solver proves. Up to 16×16 the proof may take 1,000 guesses, above that 100; a clue that stays undecided is
kept, so puzzles of 16×16 are minimal but for rare exceptions, and larger ones have somewhat more clues than they need.

Every puzzle is a function of its own seed. Axes: N puzzles, T cells, L levels of the search, W words of a state. Grids are uint8, 0 for a blank.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from bdh_reason.errors import UserError

from . import cells
from .bands import DEAD
from .shape import Shape
from .solver import candidates, geometry, propagate, restrict, search, stack, start
from .symmetry import mix

_STEP = np.uint64(0x9E3779B97F4A7C15)  # the state of SplitMix64 moves by this at every draw
_FILL_GUESSES = 1_000
_TRIES = 20_000  # full boards that are dug for one 9×9 puzzle with a given number of clues, about a second


def minimal(shape: Shape, rng: np.random.Generator, n: int) -> np.ndarray:
    """Puzzles with one solution, n of them, in which no clue can be missed, uint8 [n, T]; above 16×16 a few could be, see the top of this file."""
    return _generate(geometry(shape), rng.integers(0, 2**64, n, np.uint64), shape.cells, 0, 1, _proof(shape))[0]


def with_clues(shape: Shape, rng: np.random.Generator, n: int, clues: int) -> np.ndarray:
    """Puzzles with one solution, n of them, and exactly `clues` clues, uint8 [n, T].

    Raises UserError for a number no puzzle of this shape can have, and where a number of tries did not reach it: at most 20,000, fewer on boards
    above 9×9. On 9×9, 22 clues take a millisecond and 21 some 15; 20 take seconds or fail, fewer are out of reach.
    """
    if not shape.n - 1 <= clues <= shape.cells:
        raise UserError(f"{clues} clues", f"{shape.n - 1} (with two digits missing they could be exchanged) to {shape.cells}")
    tries = min(_TRIES, max(10, _TRIES * 81**4 // shape.cells**4))
    grid_NT, fewest = _generate(geometry(shape), rng.integers(0, 2**64, n, np.uint64), shape.cells, clues, tries, _proof(shape))
    if fewest > clues:
        raise UserError(f"no {shape.n}×{shape.n} puzzle with {clues} clues in {tries:,} tries", remedy=f"the fewest were {fewest}: ask for more clues")
    return grid_NT


def strip(shape: Shape, rng: np.random.Generator, grid_NT: np.ndarray) -> np.ndarray:
    """The puzzles, each with one solution, without clues that can be missed, uint8 [N, T]; above 16×16 a few could still be."""
    return _strip(geometry(shape), rng.integers(0, 2**64, len(grid_NT), np.uint64), grid_NT.copy(), _proof(shape))


def _proof(shape: Shape) -> int:
    """The guesses a proof may take."""
    return 1_000 if shape.n <= 16 else 100


@njit(cache=True, nogil=True)
def _generate(geometry: cells.Geometry | None, seed_N: np.ndarray, cells_T: int, clues: int, tries: int, proof: int) -> tuple[np.ndarray, int]:
    """The puzzles, and the fewest clues that the last of them reached; it gives up at the first that does not come down to `clues`."""
    grid_NT = np.zeros((len(seed_N), cells_T), np.uint8)
    stack_LW, order_T = stack(geometry), np.arange(cells_T)
    fewest = 0
    for i in range(len(seed_N)):
        state, fewest = seed_N[i], cells_T
        for _ in range(tries):
            state = _fill(geometry, state, stack_LW, order_T, grid_NT[i : i + 1])
            state, left = _dig(geometry, state, stack_LW, order_T, grid_NT[i : i + 1], clues, proof)
            fewest = min(fewest, left)
            if fewest <= clues:
                break
        if fewest > clues and tries > 1:
            break
    return grid_NT, fewest


@njit(cache=True, nogil=True)
def _strip(geometry: cells.Geometry | None, seed_N: np.ndarray, grid_NT: np.ndarray, proof: int) -> np.ndarray:
    stack_LW, order_T = stack(geometry), np.arange(grid_NT.shape[1])
    for i in range(len(grid_NT)):
        _dig(geometry, seed_N[i], stack_LW, order_T, grid_NT[i : i + 1], 0, proof)
    return grid_NT


@njit(cache=True, nogil=True)
def _fill(geometry: cells.Geometry | None, state: np.uint64, stack_LW: np.ndarray, order_T: np.ndarray, grid_1T: np.ndarray) -> np.uint64:
    """A random full board; it starts again where it runs into a contradiction. Returns the next state of the random numbers."""
    cells_T = len(order_T)
    last = 0 if cells_T <= 144 else cells_T - cells_T // 5
    while True:
        grid_1T[:] = 0
        start(geometry, grid_1T[0], stack_LW[0])
        alive = propagate(geometry, stack_LW[0]) != DEAD
        left = cells_T
        while alive and left > last:
            state, cell = _take(state, order_T, left)
            state, alive = _settle(geometry, state, stack_LW, cell)
            left -= 1
        if alive and search(geometry, stack_LW, 1, _FILL_GUESSES, grid_1T)[0] == 1:
            return state


@njit(cache=True, nogil=True)
def _settle(geometry: cells.Geometry | None, state: np.uint64, stack_LW: np.ndarray, cell: int) -> tuple[np.uint64, bool]:
    """Puts a random digit into a cell of the board `stack_LW[0]`, one that deduction has nothing against. False where there is none."""
    while True:
        digits = candidates(geometry, stack_LW[0], cell)
        size = cells.size(digits)
        if size == 1:
            return state, True
        state, skip = _below(state, size)
        for _ in range(skip):
            digits &= digits - 1
        digit = digits & -digits
        stack_LW[1] = stack_LW[0]
        restrict(geometry, stack_LW[1], cell, digit)
        if propagate(geometry, stack_LW[1]) != DEAD:
            stack_LW[0] = stack_LW[1]
            return state, True
        restrict(geometry, stack_LW[0], cell, ~digit)
        if propagate(geometry, stack_LW[0]) == DEAD:
            return state, False


@njit(cache=True, nogil=True)
def _dig(
    geometry: cells.Geometry | None, state: np.uint64, stack_LW: np.ndarray, order_T: np.ndarray, grid_1T: np.ndarray, clues: int, proof: int
) -> tuple[np.uint64, int]:
    """Takes clues from a board until `clues` are left or none is superfluous. The next random state, and the clues that are left."""
    grid_T, nothing = grid_1T[0], grid_1T[:0]
    untried, remaining = len(order_T), int(np.count_nonzero(grid_T))
    while untried and remaining > clues:
        state, cell = _take(state, order_T, untried)
        untried -= 1
        digit = grid_T[cell]
        if not digit:
            continue
        grid_T[cell] = 0
        start(geometry, grid_T, stack_LW[0])
        restrict(geometry, stack_LW[0], cell, ~(1 << digit - 1))
        if search(geometry, stack_LW, 1, proof, nothing)[0] == 0:
            remaining -= 1
        else:
            grid_T[cell] = digit
    return state, remaining


@njit(cache=True, nogil=True)
def _take(state: np.uint64, order_T: np.ndarray, left: int) -> tuple[np.uint64, int]:
    """One of the first `left` cells of the order at random, moved behind the others; drawn with left = T, T - 1, … every cell comes once."""
    state, j = _below(state, left)
    cell = order_T[j]
    order_T[j], order_T[left - 1] = order_T[left - 1], cell
    return state, cell


@njit(cache=True, nogil=True)
def _below(state: np.uint64, bound: int) -> tuple[np.uint64, Any]:
    """A random integer from 0 to bound - 1."""
    state += _STEP
    return state, np.int64(((mix(state) >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32))

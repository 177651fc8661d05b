"""How difficult a puzzle is: what a good solver has to guess.

A rating counts the guesses until the first solution, as the published Sudoku-Extreme ratings do with another solver (tdoku, limit 1); the proof
that there is no second solution would count about twice as many. Such a count hangs on the order of digits and cells, so it is averaged over
isomorphs, the same symmetries for every puzzle: a rating is a function of the puzzle alone, not of the batch around it.
"""

from __future__ import annotations

import numpy as np

from bdh_reason.rng import derive

from .shape import Shape
from .solver import solve
from .symmetry import _transform

EDGES = (0, 2, 10, 50)  # upper ends of the slices that the published results use; the last slice is open


def difficulty(shape: Shape, grid_NT: np.ndarray, isomorphs: int = 8) -> np.ndarray:
    """Mean guesses of `solve` until the first solution over `isomorphs` isomorphs of each puzzle, float32 [N]; 0 where deduction is enough.

    Raises UserError for a puzzle that takes a million guesses.
    """
    guesses_N = np.zeros(len(grid_NT))
    for i in range(isomorphs):
        seed_N = np.full(len(grid_NT), derive(0, "difficulty", index=i), np.uint64)
        twin_NT = _transform(np.ascontiguousarray(grid_NT), seed_N, shape.box_rows, shape.box_cols)
        guesses_N += solve(shape, twin_NT, limit=1).guesses_N
    return (guesses_N / isomorphs).astype(np.float32)

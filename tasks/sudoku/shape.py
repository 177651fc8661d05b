"""The geometry of a Sudoku: boxes of `box_rows` × `box_cols` cells, n = box_rows · box_cols digits, a board of n × n cells.

Axes: T = n·n cells in reading order, U = 3n units (rows, then columns, then boxes), n cells a unit. Boards are uint8 grids [N, T] with 0 for a
blank and 1…n for digits everywhere inside this folder; only `Task` and `formats` speak bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

SYMBOLS = b"123456789ABCDEFGHIJKLMNOP"
BLANK = ord(".")


@dataclass(frozen=True)
class Shape:
    """Box height and width; 2 × 2 up to 5 × 5 and every mix between, e.g. 2 × 3 for the 6 × 6 board."""

    box_rows: int
    box_cols: int

    @property
    def n(self) -> int:
        """Digits, and cells of a unit."""
        return self.box_rows * self.box_cols

    @property
    def cells(self) -> int:
        """T, the cells of the board."""
        return self.n * self.n

    @property
    def symbols(self) -> bytes:
        """The n bytes that stand for the digits 1…n."""
        return SYMBOLS[: self.n]

    @cached_property
    def coordinates_T3(self) -> np.ndarray:
        """int16 [T, 3]: row, column and box of each cell."""
        row, column = np.divmod(np.arange(self.cells), self.n)
        box = row // self.box_rows * self.box_rows + column // self.box_cols
        return np.stack([row, column, box], 1).astype(np.int16)

    @cached_property
    def units_Un(self) -> np.ndarray:
        """int32 [3n, n]: the cells of each row, column and box."""
        order_3T = [np.argsort(of_T, kind="stable") for of_T in self.coordinates_T3.T]
        return np.concatenate([cells_T.reshape(self.n, self.n) for cells_T in order_3T]).astype(np.int32)

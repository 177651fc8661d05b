"""Boards as pictures for a terminal, without colours; `picture` takes any cells, so that a caller can bring its own.

    ╔═════╦═════╗
    ║ · · ║ 3 · ║
    ║ · 4 ║ · · ║
    ╠═════╬═════╣
    ║ 2 · ║ · · ║
    ║ · · ║ · 1 ║
    ╚═════╩═════╝

Axes: T = n·n cells in reading order. Grids are uint8 [T], 0 for a blank.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .shape import Shape


def render(shape: Shape, prompt_T: np.ndarray, reply_T: np.ndarray) -> str:
    """The puzzle and, to its right, the reply."""
    prompt, reply = (picture(shape, cells(shape, grid_T)).splitlines() for grid_T in (prompt_T, reply_T))
    return "\n".join(f"{left}   {right}" for left, right in zip(prompt, reply))


def cells(shape: Shape, grid_T: np.ndarray) -> list[str]:
    """The symbol of each cell, `·` for a blank."""
    symbols = "·" + shape.symbols.decode()
    return [symbols[digit] for digit in grid_T]


def picture(shape: Shape, cells: Sequence[str]) -> str:
    """The board drawn around n·n cells, each of which is one character wide when printed (colour codes do not count)."""
    n = shape.n
    bar = "═" * (2 * shape.box_cols + 1)
    top, middle, bottom = (left + between.join([bar] * shape.box_rows) + right for left, between, right in ("╔╦╗", "╠╬╣", "╚╩╝"))
    lines = [top]
    for row in range(n):
        if row and row % shape.box_rows == 0:
            lines.append(middle)
        boxes = (" ".join(cells[start : start + shape.box_cols]) for start in range(row * n, row * n + n, shape.box_cols))
        lines.append("║ " + " ║ ".join(boxes) + " ║")
    return "\n".join([*lines, bottom])

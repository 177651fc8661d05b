"""How fast the Sudoku task is on one core, against what it set out to reach."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bdh_reason.errors import UserError
from bdh_reason.machine import processor
from bdh_reason.rng import generator

from . import formats
from .canonical import canonical
from .generator import minimal
from .mixture import mixture
from .rating import EDGES
from .shape import Shape
from .solver import solve
from .symmetry import transform

_SHAPE = Shape(3, 3)
_ISLAND = 4096  # puzzles that grow from the same roots, as in a data set
_SHARES = (16, 11, 12, 48, 12)  # of the mix, in the slices of difficulty
_CHECKS = {"17_clue_10k.txt": 100_000, "magictour_top1465.txt": 30_000}  # uniqueness checks a second, by file


def bench(puzzles: Path | None = None) -> Iterator[dict[str, Any]]:
    """Rows of `bench, case, value, unit, against, ratio, device`; the solver runs on the known lists in the folder `puzzles`, else on generated ones.

    Raises UserError for a folder without them.
    """
    fresh_NT = minimal(_SHAPE, generator(0, "bench"), 5_000)
    lists = {"5,000 generated minimal puzzles": (fresh_NT, 100_000)}
    if puzzles is not None:
        if missing := [name for name in _CHECKS if not (puzzles / name).is_file()]:
            raise UserError(f"no {', '.join(missing)} in {puzzles}", f"a folder with {' and '.join(_CHECKS)}")
        lists = {name: (formats.read(_SHAPE, (puzzles / name).read_text(), name).puzzle_NT, against) for name, against in _CHECKS.items()}
    for name, (grid_NT, against) in lists.items():
        yield _row("solver", f"uniqueness: {name}", len(grid_NT), against, partial(solve, _SHAPE, grid_NT))
    yield _row("generator", "minimal 9×9", 5_000, 3_000, lambda: minimal(_SHAPE, generator(0, "bench"), 5_000))
    yield _row("generator", "extreme 9×9, with the search for roots", _ISLAND, 1_500, _extreme)
    board_NT = np.repeat(solve(_SHAPE, fresh_NT, limit=1).first_NT, 10, 0)
    yield _row("augmentation", "9×9", len(board_NT), 500_000, lambda: transform(_SHAPE, generator(0, "bench"), board_NT))
    yield _row("canonical form", "minimal 9×9", len(fresh_NT), 2_000, lambda: canonical(_SHAPE, fresh_NT))


def _extreme() -> None:
    mixture(_SHAPE, generator(0, "bench"), _ISLAND, _SHARES, EDGES, lambda kin_N: np.ones(len(kin_N), bool))


def _row(bench: str, case: str, boards: int, against: float, run: Callable[[], Any]) -> dict[str, Any]:
    """The best of three runs, in seconds of processor time, after one that compiles."""
    run()
    seconds = []
    for _ in range(3):
        begun = time.process_time()
        run()
        seconds.append(time.process_time() - begun)
    rate = boards / min(seconds)
    device = f"{processor()}, 1 core"
    return {"bench": bench, "case": case, "value": rate, "unit": "puzzles/s", "against": against, "ratio": rate / against, "device": device}

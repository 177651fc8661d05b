"""Sudoku on boards of every box shape from 2×2 to 5×5: fill the blanks so that every row, column and box holds each symbol once.

A prompt is the text of a board in reading order with `.` for a blank, and a reply is the same board filled in:

    options  box=[2,2]
    prompt   ..3..4..2......1
    reply    1234341221434321
    chance   6.0e-08

Generated puzzles have exactly one solution; difficulty is what a solver guesses (rating.py).

Axes: N problems, T = n·n cells, U = 3n units of n cells, R relations, G groups, k members of a group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from bdh_reason import task
from bdh_reason.compiled import keep_by_content
from bdh_reason.errors import UserError, unknown
from bdh_reason.task import Board, Problems, Reading, View

keep_by_content(Path(__file__).parent)

from . import canonical, formats, generator, kin, mixture, rating, render, rules, solver, symmetry
from .bench import bench as bench
from .shape import BLANK, Shape


@dataclass(frozen=True)
class Config:
    """`box`: rows and columns of a box. `clues`: how many a puzzle shows; None for minimal puzzles, of which no clue can be spared.

    `mix`: the shares of puzzles whose difficulty lies in each slice of `rating.EDGES`, in any unit; None for what comes by chance. Mixed puzzles grow
    out of each other (mixture.py), and about a third of them have a clue too many.
    """

    box: tuple[int, int] = (3, 3)
    clues: int | None = None
    mix: tuple[float, ...] | None = field(default=None, metadata={"later": True})

    def __post_init__(self) -> None:
        if len(self.box) != 2 or not all(type(side) is int and 2 <= side <= 5 for side in self.box):
            raise UserError(f"box = {list(self.box)} of a Sudoku", "two whole numbers from 2 to 5, e.g. [3, 3] for the 9×9 board")
        least, most = self.shape.n - 1, self.shape.cells - 1
        if self.clues is not None and not (type(self.clues) is int and least <= self.clues <= most):
            raise UserError(f"clues = {self.clues!r} on a board of {self.shape.cells} cells", f"a whole number from {least} to {most}")
        if self.mix is not None:
            self._check_mix(self.mix)

    def _check_mix(self, mix: tuple[float, ...]) -> None:
        slices = len(rating.EDGES) + 1
        numbers = isinstance(mix, tuple) and all(isinstance(share, int | float) and not isinstance(share, bool) for share in mix)
        if not numbers or len(mix) != slices or not all(0 <= share < math.inf for share in mix) or not sum(mix):
            edges = " / ".join(f"{edge:g}" for edge in rating.EDGES)
            raise UserError(f"mix = {mix!r} of a Sudoku", f"{slices} shares from 0 on, of up to {edges} guesses and of more, e.g. [16, 11, 12, 48, 12]")
        if self.clues is not None:
            raise UserError(f"clues = {self.clues} beside a mix of difficulties", "one of the two")

    @property
    def shape(self) -> Shape:
        """The geometry of the board."""
        return Shape(*self.box)


PRESETS = {"sudoku-extreme": {"mix": [16, 11, 12, 48, 12]}}  # the shares estimated for the published Sudoku-Extreme
PUBLISHED = {"sudoku-extreme": ("sapientinc/sudoku-extreme", ("train.csv", "test.csv"))}
EXAMPLES = (Config((2, 2)), Config((2, 3)), Config(), Config(mix=(16, 11, 12, 48, 12)))  # the configurations that tests run over


class Task(task.Task):
    """Sudoku as the harness sees it: bytes outside, grids inside."""

    name: ClassVar[str] = "sudoku"
    version: ClassVar[str] = "1"
    edges: ClassVar[tuple[float, ...]] = rating.EDGES

    def __init__(self, config: Config) -> None:
        self.config = config
        self.shape = config.shape
        self.apart = config.mix is not None

    def board(self, view: View, reading: Reading) -> Board:
        """The board as `cells` (row, column, box) or `candidates` (row, column, box, digit; "grid" only) with the units as relations.

        Candidate cell·n + digit has four relations: the digits of its cell, and the places of its digit in the row, the column and the box.
        """
        shape, n = self.shape, self.shape.n
        if view not in ("cells", "candidates"):
            raise unknown("view", view, ("cells", "candidates"), "sudoku")
        if reading not in (("grid", "sequence") if view == "cells" else ("grid",)):
            raise unknown("reading", reading, ("grid", "sequence") if view == "cells" else ("grid",), f"the {view} view of sudoku")
        if view == "cells":
            return Board(view, reading, shape.cells, shape.symbols, BLANK, shape.coordinates_T3, shape.units_Un.reshape(3, n, n))
        digit_n = np.arange(n, dtype=np.int32)
        coordinates_T4 = np.column_stack([shape.coordinates_T3.repeat(n, 0), np.tile(digit_n, shape.cells)]).astype(np.int16)
        cell_1Gk = np.arange(shape.cells * n, dtype=np.int32).reshape(1, shape.cells, n)
        unit_3Gk = (shape.units_Un[:, None, :] * n + digit_n[:, None]).reshape(3, shape.cells, n)
        return Board(view, reading, shape.cells, shape.symbols, BLANK, coordinates_T4, np.concatenate([cell_1Gk, unit_3Gk]))

    def generate(self, rng: np.random.Generator, n: int) -> Problems:
        """Fresh puzzles with one solution each: minimal, with the configured number of clues, or in the configured mix of difficulties."""
        if self.apart:
            return self.grow(rng, n, lambda kin_N: np.ones(len(kin_N), bool))
        clues = self.config.clues
        puzzle_NT = generator.minimal(self.shape, rng, n) if clues is None else generator.with_clues(self.shape, rng, n, clues)
        return self._problems(puzzle_NT, solver.solve(self.shape, puzzle_NT, 1).first_NT, rating.difficulty(self.shape, puzzle_NT))

    def grow(self, rng: np.random.Generator, n: int, belongs: Callable[[np.ndarray], np.ndarray]) -> Problems:
        """Fresh puzzles in the configured mix of difficulties. Raises UserError where it cannot be filled."""
        if self.config.mix is None:
            return super().grow(rng, n, belongs)
        return self._problems(*mixture.mixture(self.shape, rng, n, self.config.mix, self.edges, belongs))

    def kin(self, problems: Problems) -> np.ndarray:
        """Of a mix: equal for puzzles whose solutions are of one class. Else the family."""
        return kin.kin(self.shape, formats.to_grid(self.shape, problems.target)) if self.apart else problems.family

    def augment(self, rng: np.random.Generator, problems: Problems) -> Problems:
        """Each puzzle and its solution under one random symmetry of the board."""
        grids = (formats.to_grid(self.shape, byte_NT) for byte_NT in (problems.prompt, problems.target))
        prompt_NT, target_NT = (formats.to_bytes(self.shape, grid_NT) for grid_NT in symmetry.transform(self.shape, rng, *grids))
        return Problems(prompt_NT, target_NT, prompt_NT == BLANK, problems.difficulty, problems.family)

    def verify(self, prompt_NT: np.ndarray, reply_NT: np.ndarray) -> np.ndarray:
        """Whether each reply is a full board that obeys the rules and keeps every clue, bool [N]."""
        kept_N = ((prompt_NT == BLANK) | (prompt_NT == reply_NT)).all(1)
        return kept_N & rules.valid(self.shape, formats.to_grid(self.shape, reply_NT))

    def solve(self, prompt_NT: np.ndarray) -> np.ndarray:
        """A solution of each prompt, uint8 [N, T]. Raises UserError for a prompt without one."""
        solved = solver.solve(self.shape, formats.to_grid(self.shape, prompt_NT), 1)
        for i in np.flatnonzero(solved.solutions_N == 0)[:1]:
            raise UserError(f"puzzle {prompt_NT[i].tobytes().decode('latin-1')!r} has no solution", "puzzles with a solution")
        return formats.to_bytes(self.shape, solved.first_NT)

    def solutions(self, prompt_NT: np.ndarray) -> np.ndarray:
        """How many solutions each prompt has, counted up to 2, int64 [N]."""
        return solver.solve(self.shape, formats.to_grid(self.shape, prompt_NT), 2).solutions_N.astype(np.int64)

    def canonical(self, prompt_NT: np.ndarray) -> np.ndarray:
        """A hash of each prompt's canonical form, uint64 [N]."""
        return canonical.family(self.shape, formats.to_grid(self.shape, prompt_NT))

    def chance(self, problems: Problems) -> float:
        """The mean of n^-blanks."""
        return float(np.mean(float(self.shape.n) ** -problems.scored.sum(1)))

    def read(self, text: str, source: str) -> Problems:
        """Puzzles from lines, `.sdm` or CSV (formats.py); the difficulty is measured, for a CSV's rating is in another unit.

        Raises UserError naming `source` and the line for whatever is no puzzle with exactly one solution, or comes with another answer.
        """
        listing = formats.read(self.shape, text, source)
        solved = solver.solve(self.shape, listing.puzzle_NT, 2)
        for i in np.flatnonzero(solved.solutions_N != 1)[:1]:
            count = "several solutions" if solved.solutions_N[i] else "no solution"
            raise UserError(f"{source}, line {listing.line_N[i]}: the puzzle has {count}", "puzzles with exactly one")
        return self._problems(listing.puzzle_NT, solved.first_NT, rating.difficulty(self.shape, listing.puzzle_NT))

    def render(self, prompt_T: np.ndarray, reply_T: np.ndarray) -> str:
        """The puzzle and the reply side by side."""
        return render.render(self.shape, formats.to_grid(self.shape, prompt_T), formats.to_grid(self.shape, reply_T))

    def picture(self, cells: Sequence[str]) -> str:
        """The board drawn around T texts, each one character wide when printed."""
        return render.picture(self.shape, cells)

    def _problems(self, puzzle_NT: np.ndarray, solution_NT: np.ndarray, difficulty_N: np.ndarray) -> Problems:
        prompt_NT, target_NT = (formats.to_bytes(self.shape, grid_NT) for grid_NT in (puzzle_NT, solution_NT))
        return Problems(prompt_NT, target_NT, puzzle_NT == 0, difficulty_N.astype(np.float32), canonical.family(self.shape, puzzle_NT))

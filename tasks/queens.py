"""Queens: n on an n × n board so that none reaches another. Some are given, and they leave exactly one way to place the rest.

A prompt has a byte for each row of the board: the letter of its queen's column, or `.` where she is to be found.

    options  n=8
    prompt   .d.....f
    reply    gdbehacf
    chance   3.8e-06

The horizon is n, chance is n^-blanks. A queen is given where she cannot be spared, or where 1,000 guesses would leave that open, as they did for none of
37,092 at n = 32. The candidate view is the board itself, with a token for each square. Small boards have few problems: 3 families for n = 6, 75 for 7, 239
for 8, some 1,400 for 9. A data set says in its manifest how many families each split has.

Axes: N problems, n rows and as many columns, T = n positions, C = n·n squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from bdh_reason import symmetry
from bdh_reason.lines import BLANK, check_whole
from bdh_reason.puzzles import Puzzle
from bdh_reason.search import Network, fill, network
from bdh_reason.task import Board, Problems, Reading, View

LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEF"


@dataclass(frozen=True)
class Config:
    """`n`: queens, and rows and columns of the board."""

    n: int = 8

    def __post_init__(self) -> None:
        check_whole("n of queens", self.n, 6, len(LETTERS))


EXAMPLES = (Config(6), Config(), Config(13))  # the configurations that tests run over


class Task(Puzzle):
    """Queens as the harness sees them."""

    name: ClassVar[str] = "queens"
    version: ClassVar[str] = "1"
    horizon: ClassVar[str] = "n"
    ladder: ClassVar[tuple[int, ...]] = (8, 10, 12, 16, 20, 24, 32)
    form: ClassVar[str] = "for each row the letter of the queen's column, or ."

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.positions, self.places, self.symbols = config.n, np.arange(config.n), LETTERS[: config.n]
        self.group = symmetry.of_square(config.n)

    def board(self, view: View, reading: Reading) -> Board:
        """`cells`: the rows, without relations. `candidates` ("grid" only): the squares, related along rows, columns, diagonals and the other diagonals."""
        if (view, reading) != ("candidates", "grid"):
            return super().board(view, reading)
        square_C2 = np.indices((self.positions, self.positions)).reshape(2, -1).T.astype(np.int16)
        line_4C = np.array([square_C2[:, 0], square_C2[:, 1], square_C2.sum(1), square_C2[:, 0] - square_C2[:, 1]])
        return Board(view, reading, self.positions, self.symbols, BLANK, square_C2, mask_RTT=line_4C[:, :, None] == line_4C[:, None])

    def network(self, prompt_NT: np.ndarray) -> Network:
        return self._network

    @cached_property
    def _network(self) -> Network:
        """A row is a variable, a column its value. Moved by one more from row to row, the squares of a diagonal become a column."""
        row_T = np.arange(self.positions)
        shift_UK = np.stack([np.zeros_like(row_T), row_T, row_T[::-1]])
        return network(self.positions, np.tile(row_T, (1, 3, 1)), (True, False, False), shift_UK)

    def generate(self, rng: np.random.Generator, n: int) -> Problems:
        return self.dug(rng, self.board("cells", "grid").spell(fill(self._network, rng, n)))

    def augment(self, rng: np.random.Generator, problems: Problems) -> Problems:
        """Each board under one of the eight symmetries of the square."""
        prompt_NC, target_NC = self.group.transform(rng, self._squares(problems.prompt), self._squares(problems.target))
        prompt_NT = self._rows(prompt_NC)
        return Problems(prompt_NT, self._rows(target_NC), prompt_NT == BLANK, problems.difficulty, problems.family)

    def canonical(self, prompt_NT: np.ndarray) -> np.ndarray:
        """Of the squares with a queen, under the eight symmetries."""
        return self.group.family(self._squares(prompt_NT))

    def _squares(self, prompt_NT: np.ndarray) -> np.ndarray:
        """Which squares have a queen, uint8 [N, C]."""
        return (prompt_NT[:, :, None] == np.frombuffer(self.symbols, np.uint8)).reshape(-1, self.positions**2).astype(np.uint8)

    def _rows(self, square_NC: np.ndarray) -> np.ndarray:
        board_NTn = square_NC.reshape(-1, self.positions, self.positions)
        return np.where(board_NTn.any(2), np.frombuffer(self.symbols, np.uint8)[board_NTn.argmax(2)], BLANK).astype(np.uint8)

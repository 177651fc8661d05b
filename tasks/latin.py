"""Latin squares of n × n: fill the blanks so that every row and column holds each symbol once. With `signs` it is Futoshiki: some neighbours stand in order.

A prompt is the square in reading order, a reply the same square filled in:

    options  n=4
    prompt   ...42...12......
    reply    3124243112434312
    chance   6.0e-08

With `signs` the text holds a byte for each pair of neighbours too: `<`, `>` or `-` for no sign between the symbols of a row, and after each row but the
last a line of `^` (less above), `v` (less below) or `-`. A clue stays where it cannot be spared beside the signs, or where 1,000 guesses leave that open:
without signs none of 63,790 clues at n = 12 was left over, with signs 48 of 22,709, 2 of 13,874 at n = 10 and none of 10,393 at n = 9.
To find out takes over a millisecond at n = 12, with signs several times that. The horizon is n, chance is n^-blanks.

The candidate view has a token for each cell and symbol, related by cell, row and column, as in Sudoku without its boxes. With signs there is none: they
tell symbols apart, and candidates do not know theirs. Small squares without signs have few problems: 12 families for n = 4, some 800 for 5. A data set
says in its manifest how many families each split has, and at n = 4 one may have none.

Axes: N problems, T positions, C = n·n cells, P = 2n(n-1) pairs of neighbours, R relations, G groups, k members of a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from bdh_reason import symmetry
from bdh_reason.errors import UserError
from bdh_reason.lines import BLANK, check_whole
from bdh_reason.puzzles import Puzzle
from bdh_reason.search import NONE, Network, fill, network
from bdh_reason.task import Board, Problems, Reading, View

SYMBOLS = b"123456789ABC"
SIGNS = (b"<>-", b"^v-")  # in a row and between two: the first is less, the second is, nothing is said
_SHARE = 0.25  # of the pairs show their sign


@dataclass(frozen=True)
class Config:
    """`n`: symbols, and rows and columns of the square. `signs`: whether a quarter of the neighbours show which one is less."""

    n: int = 6
    signs: bool = False

    def __post_init__(self) -> None:
        check_whole("n of a Latin square", self.n, 4, len(SYMBOLS))
        if type(self.signs) is not bool:
            raise UserError(f"signs = {self.signs!r} of a Latin square", "true or false")


PRESETS = {"futoshiki": {"signs": True}}
EXAMPLES = (Config(4), Config(), Config(4, True), Config(5, True))  # the configurations that tests run over


class Task(Puzzle):
    """Latin squares as the harness sees them."""

    name: ClassVar[str] = "latin"
    version: ClassVar[str] = "1"
    horizon: ClassVar[str] = "n"
    ladder: ClassVar[tuple[int, ...]] = (4, 5, 6, 7, 8, 9, 10, 12)
    form: ClassVar[str] = "the symbols 1-9, A, B, C as far as n goes, . for a blank; with signs also < > ^ v or - between neighbours"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        n = self.n = config.n
        self.symbols = SYMBOLS[:n]
        place_T2 = np.indices((2 * n - 1, 2 * n - 1)).reshape(2, -1).T  # on a board where signs stand between the cells
        self.place_T2 = place_T2[(place_T2 % 2).sum(1) < (2 if config.signs else 1)]
        self.positions = len(self.place_T2)
        self.places, self.sign_P = (np.flatnonzero((self.place_T2 % 2).sum(1) == odd) for odd in (0, 1))

    def coordinates(self) -> np.ndarray:
        """Row and column; with signs, those of a board on which signs stand between the cells."""
        return (self.place_T2 if self.config.signs else self.place_T2 // 2).astype(np.int16)

    def board(self, view: View, reading: Reading) -> Board:
        """`cells` related by row and column, with signs also to the signs beside them; `candidates` ("grid" only) by cell, row and column.

        Candidate cell·n + symbol has three relations: the symbols of its cell, and the places of its symbol in the row and in the column.
        """
        if (view, reading) == ("candidates", "grid") and not self.config.signs:
            number = np.arange(self.n**3, dtype=np.int32).reshape((self.n,) * 3)
            groups_RGk = np.stack([np.moveaxis(number, axis, 2).reshape(-1, self.n) for axis in (2, 1, 0)])
            coordinates_T3 = np.indices(number.shape).reshape(3, -1).T.astype(np.int16)
            return Board(view, reading, self.positions, self.symbols, BLANK, coordinates_T3, groups_RGk)
        board = super().board(view, reading)
        if not self.config.signs:
            return replace(board, groups_RGk=self._unit_UK.reshape(2, self.n, self.n).astype(np.int32))
        near_TT2 = np.abs(self.place_T2[:, None] - self.place_T2)
        cell_T = ~(self.place_T2 % 2).any(1)
        line_TT2 = (near_TT2 == 0) & (cell_T[:, None] & cell_T)[:, :, None]
        itself_TT = np.eye(self.positions, dtype=bool)
        return replace(board, mask_RTT=np.stack([line_TT2[:, :, 0] | itself_TT, line_TT2[:, :, 1] | itself_TT, near_TT2.sum(2) <= 1]))

    @cached_property
    def _unit_UK(self) -> np.ndarray:
        """The cells of each row and of each column."""
        square = np.arange(self.n**2).reshape(self.n, self.n)
        return np.concatenate([square, square.T])

    @cached_property
    def _pair_P2(self) -> np.ndarray:
        """The two cells beside each sign."""
        place_P2 = self.place_T2[self.sign_P]
        return np.stack([(side_P2 // 2) @ (self.n, 1) for side_P2 in (place_P2, place_P2 + 1)], 1)

    @cached_property
    def _sign_P3(self) -> np.ndarray:
        """The bytes that may stand in the place of each sign."""
        return np.array([list(SIGNS[between]) for between in self.place_T2[self.sign_P, 0] % 2], np.uint8).reshape(-1, 3)

    def well_formed(self, prompt_NT: np.ndarray) -> np.ndarray:
        return (prompt_NT[:, self.sign_P, None] == self._sign_P3).any(2).all(1)

    def network(self, prompt_NT: np.ndarray) -> Network:
        """The rows and columns, and the pairs with a sign."""
        said_NP3 = prompt_NT[:, self.sign_P, None] == self._sign_P3
        less_NP2 = np.where(said_NP3[:, :, :1], self._pair_P2, np.where(said_NP3[:, :, 1:2], self._pair_P2[:, ::-1], NONE))
        return network(self.n, self._unit_UK[None], True, less_MP2=less_NP2 if self.config.signs else None)

    def generate(self, rng: np.random.Generator, n: int) -> Problems:
        value_NC = fill(network(self.n, self._unit_UK[None], True), rng, n)
        target_NT = np.zeros((n, self.positions), np.uint8)
        target_NT[:, self.places] = np.frombuffer(self.symbols, np.uint8)[value_NC]
        if self.config.signs:
            more_NP = (value_NC[:, self._pair_P2[:, 0]] > value_NC[:, self._pair_P2[:, 1]]).astype(int)
            said_NP = np.where(rng.random(more_NP.shape) < _SHARE, more_NP, 2)
            target_NT[:, self.sign_P] = self._sign_P3[np.arange(len(self.sign_P)), said_NP]
        return self.dug(rng, target_NT)

    def augment(self, rng: np.random.Generator, problems: Problems) -> Problems:
        """Rows, columns and symbols renamed, and the three exchanged for each other. With signs: the square turned, and its order of symbols with it."""
        if self.config.signs:
            prompt_NT, target_NT = self._group.transform(rng, problems.prompt, problems.target)
            return Problems(prompt_NT, target_NT, prompt_NT == BLANK, problems.difficulty, problems.family)
        n, count = self.n, len(problems)
        value_NC = self.board("cells", "grid").index(problems.target)
        triple_N3C = np.stack([*np.broadcast_arrays(*np.divmod(np.arange(n * n), n), value_NC)], 1)
        name_N3n = rng.permuted(np.tile(np.arange(n), (count, 3, 1)), axis=2)
        role_N3 = rng.permuted(np.tile(np.arange(3), (count, 1)), axis=1)
        row_NC, column_NC, value_NC = np.moveaxis(np.take_along_axis(np.take_along_axis(name_N3n, triple_N3C, 2), role_N3[:, :, None], 1), 1, 0)
        symbol_NC = np.frombuffer(self.symbols, np.uint8)[value_NC]
        prompt_NT, target_NT = np.zeros_like(problems.prompt), np.zeros_like(problems.target)
        np.put_along_axis(target_NT, row_NC * n + column_NC, symbol_NC, 1)
        np.put_along_axis(prompt_NT, row_NC * n + column_NC, np.where(problems.scored, BLANK, symbol_NC).astype(np.uint8), 1)
        return Problems(prompt_NT, target_NT, prompt_NT == BLANK, problems.difficulty, problems.family)

    def canonical(self, prompt_NT: np.ndarray) -> np.ndarray:
        """With signs, of the true class. Without, what colour refinement sees of the clues: classes may be merged and are never split."""
        if self.config.signs:
            return self._group.family(prompt_NT)
        n = self.n
        value_NC = self.board("cells", "grid").index(prompt_NT)
        row_C, column_C = np.divmod(np.arange(n * n), n)
        triple_NC3 = np.stack([np.where(value_NC < 0, symmetry.NOBODY, row_C), np.broadcast_to(n + column_C, value_NC.shape), 2 * n + value_NC], 2)
        return symmetry.refined(triple_NC3.astype(np.int16), np.zeros(3 * n, np.uint64))

    @cached_property
    def _group(self) -> symmetry.Group:
        """The eight symmetries of the square, signs turning with it, and for each the same with less and more exchanged: sixteen."""
        square = symmetry.of_square(2 * self.n - 1)
        where_T = self.place_T2 @ (2 * self.n - 1, 1)
        position = np.zeros((2 * self.n - 1) ** 2, np.int64)
        position[where_T] = np.arange(self.positions)
        place_GT, renames = position[square.place_GT[:, where_T]], []
        for turned in (b"<>^v", b"^v<>"):
            for down in (b"^v", b"v^"):
                for right in (b"<>", b"><"):
                    signs = bytes(range(256)).translate(bytes.maketrans(b"<>^v", turned))
                    renames.append(signs.translate(bytes.maketrans(b"^v", down)).translate(bytes.maketrans(b"<>", right)))
        opposite = bytes.maketrans(self.symbols + b"<>^v", self.symbols[::-1] + b"><v^")
        return symmetry.Group(place_GT, np.array([list(rename) for rename in renames], np.uint8)).doubled(opposite)

    def picture(self, cells: Sequence[str]) -> str:
        """The square, with signs between the cells where there are any."""
        rows: list[list[str]] = [[" "] * (self.place_T2[-1, 1] + 1) for _ in range(self.place_T2[-1, 0] + 1)]
        for (row, column), cell in zip(self.place_T2, cells):
            rows[row][column] = cell
        return "\n".join("".join(row) for row in (rows if self.config.signs else rows[::2]))

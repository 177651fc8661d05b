"""Mazes: mark the shortest way between two ends. There is exactly one, though most mazes have several ways.

A prompt is a square in reading order: `#` a wall, `.` a free cell, and the ends `S` and `G`. A reply says of each free cell whether it is on the way, `o`, or
not, `-`.

    options  size=7
    prompt   .#......#.#.##.G.#.#..###.#..#...#..#.###S.#.....
    reply    -#ooo---#o#o##-Go#o#--###o#--#ooo#--#o###S-#ooooo
    chance   1.9e-09

The passages are a random spanning tree, grown depth first on every other row and column, in which one wall in twelve between neighbours is broken through.
The ends are drawn so that one shortest way lies between them, at least as long as a side. Difficulty is the detour: the steps of the way beyond those
that it would take without walls. The horizon is the size, chance is 2^-free cells.

Axes: N problems, T = size·size cells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
from numba import njit

from bdh_reason import symmetry
from bdh_reason.errors import UserError
from bdh_reason.lines import BLANK, Line, check_whole, kept
from bdh_reason.task import Board, Problems, Reading, View

WALL, START, GOAL, ON, OFF = (ord(byte) for byte in "#SGo-")
_BROKEN = 1 / 12  # of the walls between two passages


@dataclass(frozen=True)
class Config:
    """`size`: cells of a side, an odd number."""

    size: int = 13

    def __post_init__(self) -> None:
        check_whole("size of a maze", self.size, 5, 63)
        if self.size % 2 == 0:
            raise UserError(f"size = {self.size} of a maze", "an odd number: passages lie on every other row and column")


EXAMPLES = (Config(7), Config())  # the configurations that tests run over


class Task(Line):
    """A maze as the harness sees it."""

    name: ClassVar[str] = "maze"
    version: ClassVar[str] = "1"
    edges: ClassVar[tuple[float, ...]] = (10, 30, 60, 100)
    horizon: ClassVar[str] = "size"
    ladder: ClassVar[tuple[int, ...]] = (9, 13, 17, 21, 25, 31, 41)
    form: ClassVar[str] = "# for a wall, . for a free cell, one S and one G"
    symbols = bytes([ON, OFF])

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.width, self.positions = config.size, config.size**2
        self.group = symmetry.of_square(config.size).doubled(bytes.maketrans(b"SG", b"GS"))

    def coordinates(self) -> np.ndarray:
        """Row and column."""
        return np.indices((self.width, self.width)).reshape(2, -1).T.astype(np.int16)

    def board(self, view: View, reading: Reading) -> Board:
        """The cells; each is related to its neighbours and itself, and that is the same for all sizes."""
        board = super().board(view, reading)
        place_T2 = board.coordinates_TK
        return replace(board, mask_RTT=(np.abs(place_T2[:, None] - place_T2).sum(2) <= 1)[None])

    def generate(self, rng: np.random.Generator, n: int) -> Problems:
        prompt_NT, target_NT = _generate(rng, n, self.width)
        return self.problems(prompt_NT, target_NT)

    def difficulty(self, prompt_NT: np.ndarray) -> np.ndarray:
        """The steps of the shortest way less those without walls, 0 where there is no way."""
        return _search(np.ascontiguousarray(prompt_NT), self.width)[1].astype(np.float32)

    def augment(self, rng: np.random.Generator, problems: Problems) -> Problems:
        """Each maze under one of the eight symmetries of the square, and its ends exchanged or not."""
        prompt_NT, target_NT = self.group.transform(rng, problems.prompt, problems.target)
        return Problems(prompt_NT, target_NT, prompt_NT == BLANK, problems.difficulty, problems.family)

    def verify(self, prompt_NT: np.ndarray, reply_NT: np.ndarray) -> np.ndarray:
        """Bool [N]: whether a reply keeps its prompt, and what it marks is a way between the ends than which there is none shorter."""
        return kept(prompt_NT, reply_NT) & _verify(np.ascontiguousarray(prompt_NT), np.ascontiguousarray(reply_NT), self.width)

    def solve(self, prompt_NT: np.ndarray) -> np.ndarray:
        """A shortest way marked, uint8 [N, T]. Raises UserError for a prompt without one."""
        ways_N, _, reply_NT = _search(np.ascontiguousarray(prompt_NT), self.width)
        for i in np.flatnonzero(ways_N == 0)[:1]:
            raise UserError(f"{prompt_NT[i, :60].tobytes().decode('latin-1')!r} has no way as {self.name} with {self.config}", self.form)
        return reply_NT

    def solutions(self, prompt_NT: np.ndarray) -> np.ndarray:
        """int64 [N]: how many shortest ways there are, counted up to 2; none in what is no maze."""
        return _search(np.ascontiguousarray(prompt_NT), self.width)[0]

    def canonical(self, prompt_NT: np.ndarray) -> np.ndarray:
        """Under the eight symmetries and the exchange of the ends."""
        return self.group.family(prompt_NT)


class _Room(NamedTuple):
    """The square inside a wall, (size + 2)² cells, and what is known of them; it serves one maze after the other."""

    free_C: np.ndarray
    far_C: np.ndarray  # steps from the start, -1 where it was not reached
    ways_C: np.ndarray  # how many ways of so many steps, 2 for more than one
    queue_C: np.ndarray


@njit(cache=True, nogil=True)
def _room(size: int) -> _Room:
    cells = (size + 2) * (size + 2)
    return _Room(np.zeros(cells, np.bool_), np.zeros(cells, np.int64), np.zeros(cells, np.int64), np.zeros(cells, np.int64))


@njit(cache=True, nogil=True)
def _generate(rng: np.random.Generator, n: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Prompts and targets, uint8 [n, T]."""
    prompt_NT, target_NT = np.full((n, size * size), WALL, np.uint8), np.full((n, size * size), WALL, np.uint8)
    room, wide = _room(size), size + 2
    for i in range(n):
        start = goal = 0
        while not goal:
            _carve(rng, size, room)
            start, goal = _ends(rng, size, room)
        for cell in range(size * size):
            place = (cell // size + 1) * wide + cell % size + 1
            if room.free_C[place]:
                prompt_NT[i, cell] = START if place == start else GOAL if place == goal else BLANK
                target_NT[i, cell] = OFF if prompt_NT[i, cell] == BLANK else prompt_NT[i, cell]
        _mark(room, size, goal, target_NT[i])
    return prompt_NT, target_NT


@njit(cache=True, nogil=True)
def _carve(rng: np.random.Generator, size: int, room: _Room) -> None:
    """A spanning tree of the cells in every other row and column, depth first; then some of the other walls between them are broken through."""
    free_C, stack_C, wide, side, left = room.free_C, room.queue_C, size + 2, (size + 1) // 2, np.int64(1)
    free_C[:] = False
    stack_C[0] = (2 * int(rng.random() * side) + 1) * wide + 2 * int(rng.random() * side) + 1
    free_C[stack_C[0]] = True
    while left:
        place, chosen, choices = stack_C[left - 1], 0, 0
        row, column = place // wide, place % wide
        for step, inside in ((-wide, row > 1), (wide, row < size), (-1, column > 1), (1, column < size)):
            if inside and not free_C[place + 2 * step]:
                choices += 1
                if rng.random() * choices < 1:
                    chosen = step
        if choices:
            free_C[place + chosen] = free_C[place + 2 * chosen] = True
            stack_C[left] = place + 2 * chosen
            left += 1
        else:
            left -= 1
    for row in range(1, size + 1):
        for column in range(1 + row % 2, size + 1, 2):
            if rng.random() < _BROKEN:
                free_C[row * wide + column] = True


@njit(cache=True, nogil=True)
def _ends(rng: np.random.Generator, size: int, room: _Room) -> tuple[int, int]:
    """Two free cells with one shortest way between them, at least as long as a side; (0, 0) where the first that is drawn has no second."""
    wide, start = size + 2, 0
    while not room.free_C[start]:
        start = int(rng.random() * len(room.free_C))
    reached, choices, goal = _spread(room, wide, start, 0), 0, 0
    for k in range(reached):
        place = room.queue_C[k]
        if room.far_C[place] >= size and room.ways_C[place] == 1:
            choices += 1
    skip = int(rng.random() * choices)
    for k in range(reached):
        place = room.queue_C[k]
        if room.far_C[place] >= size and room.ways_C[place] == 1:
            if not skip:
                goal = place
            skip -= 1
    return (start, goal) if goal else (0, 0)


@njit(cache=True, nogil=True)
def _spread(room: _Room, wide: int, start: int, goal: int) -> int:
    """Counts steps and ways from the start to all cells, nearest first, until the goal is settled; how many were reached. 0 is no goal."""
    free_C, far_C, ways_C, queue_C = room
    far_C[:] = -1
    far_C[start], ways_C[start], queue_C[0] = 0, 1, start
    done, left = 0, 1
    while done < left and queue_C[done] != goal:
        place = queue_C[done]
        done += 1
        for step in (-wide, wide, -1, 1):
            near = place + step
            if free_C[near]:
                if far_C[near] < 0:
                    far_C[near], ways_C[near], queue_C[left] = far_C[place] + 1, ways_C[place], near
                    left += 1
                elif far_C[near] == far_C[place] + 1:
                    ways_C[near] = 2
    return left


@njit(cache=True, nogil=True)
def _mark(room: _Room, size: int, goal: int, reply_T: np.ndarray) -> None:
    """Marks a shortest way, from the goal back."""
    wide, place = size + 2, goal
    while room.far_C[place] > 1:
        for step in (-wide, wide, -1, 1):
            if room.far_C[place + step] == room.far_C[place] - 1:
                place += step
                break
        reply_T[(place // wide - 1) * size + place % wide - 1] = ON


@njit(cache=True, nogil=True)
def _load(maze_T: np.ndarray, size: int, free: int, closed: int, room: _Room) -> tuple[int, int]:
    """Frees the ends and the cells with the byte `free`. The places of the ends; (0, 0) unless there is one of each and the rest is walls or `closed`."""
    start, goal, ends = 0, 0, 0
    room.free_C[:] = False
    for cell in range(len(maze_T)):
        place = (cell // size + 1) * (size + 2) + cell % size + 1
        byte = maze_T[cell]
        room.free_C[place] = byte in (free, START, GOAL)
        if byte == START:
            start, ends = place, ends + 1
        elif byte == GOAL:
            goal, ends = place, ends + 1
        elif byte not in (free, WALL, closed):
            return 0, 0
    return (start, goal) if start and goal and ends == 2 else (0, 0)


@njit(cache=True, nogil=True)
def _search(prompt_NT: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each prompt the shortest ways, counted up to 2, the detour, and a reply with one of them."""
    ways_N, detour_N, reply_NT = np.zeros(len(prompt_NT), np.int64), np.zeros(len(prompt_NT), np.int64), prompt_NT.copy()
    room, wide = _room(size), size + 2
    for i in range(len(prompt_NT)):
        start, goal = _load(prompt_NT[i], size, BLANK, WALL, room)
        if start and _spread(room, wide, start, goal) and room.far_C[goal] > 0:
            ways_N[i] = room.ways_C[goal]
            detour_N[i] = room.far_C[goal] - abs(goal // wide - start // wide) - abs(goal % wide - start % wide)
            for cell in range(len(prompt_NT[i])):
                if prompt_NT[i, cell] == BLANK:
                    reply_NT[i, cell] = OFF
            _mark(room, size, goal, reply_NT[i])
    return ways_N, detour_N, reply_NT


@njit(cache=True, nogil=True)
def _verify(prompt_NT: np.ndarray, reply_NT: np.ndarray, size: int) -> np.ndarray:
    """Whether all marks of each reply make one way, and none is shorter."""
    right_N, room, wide = np.zeros(len(prompt_NT), np.bool_), _room(size), size + 2
    for i in range(len(prompt_NT)):
        marks, others = 0, 0
        for cell in range(len(prompt_NT[i])):
            if prompt_NT[i, cell] == BLANK:
                marks += reply_NT[i, cell] == ON
                others += reply_NT[i, cell] not in (ON, OFF)
        start, goal = _load(reply_NT[i], size, ON, OFF, room)
        if start and not others:
            _spread(room, wide, start, goal)
            steps = room.far_C[goal]
            if steps == marks + 1 and _load(prompt_NT[i], size, BLANK, WALL, room)[0]:
                _spread(room, wide, start, goal)
                right_N[i] = steps == room.far_C[goal]
    return right_N

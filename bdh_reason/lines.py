"""Tasks whose problem is one line of printable bytes with `.` wherever the reply has to say something; `Computed` where the answer follows by computing.

What such tasks share: the board of cells, reading files of one prompt a line, pictures, chance. A task adds what its problems are.

Axes: N problems, T positions of the prompt, K coordinates.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numba import njit

from bdh_reason.errors import UserError, unknown
from bdh_reason.task import Board, Problems, Reading, Task, View

BLANK = ord(".")


class Line(Task):
    """A task of lines. `positions` is T, `symbols` what a reply may put into a blank; both may differ from configuration to configuration.

    `form` says in a few words what a prompt looks like, for messages; `width` is how many bytes a row of the picture holds.
    """

    form: ClassVar[str]
    readings: ClassVar[tuple[Reading, ...]] = ("sequence", "grid")
    positions: int
    symbols: bytes
    width: int = 48

    def __init__(self, config: Any) -> None:
        self.config = config

    def board(self, view: View, reading: Reading) -> Board:
        """The bytes as `cells`, without relations."""
        if view != "cells":
            raise unknown("view", view, ("cells",), self.name)
        if reading not in self.readings:
            raise unknown("reading", reading, self.readings, self.name)
        return Board(view, reading, self.positions, self.symbols, BLANK, self.coordinates())

    def coordinates(self) -> np.ndarray:
        """int16 [T, K]: where each byte stands; here its place in the line."""
        return np.arange(self.positions, dtype=np.int16)[:, None]

    def difficulty(self, prompt_NT: np.ndarray) -> np.ndarray:
        """float32 [N]; here the horizon."""
        return np.full(len(prompt_NT), getattr(self.config, self.horizon), np.float32)

    def augment(self, rng: np.random.Generator, problems: Problems) -> Problems:
        """The problems themselves: a task that has symmetries says so here."""
        return problems

    def chance(self, problems: Problems) -> float:
        """The mean of (number of symbols)^-blanks."""
        return float(np.mean(float(len(self.symbols)) ** -problems.scored.sum(1)))

    def read(self, text: str, source: str) -> Problems:
        """Problems from one prompt a line; empty lines are skipped.

        Raises UserError naming `source` and the line for another length, a character that is no byte, and whatever has not exactly one solution.
        """
        lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        if not lines:
            raise UserError(f"no problem in {source}", f"one a line: {self.form}")
        for number, line in lines:
            if len(line) != self.positions or max(line) > "\xff":
                what = f"{len(line)} characters" if len(line) != self.positions else f"{max(line)!r}"
                raise UserError(f"{source}, line {number}: {what}", f"{self.positions} bytes for {self.config}: {self.form}")
        prompt_NT = np.frombuffer("".join(line for _, line in lines).encode("latin-1"), np.uint8).reshape(-1, self.positions)
        solutions_N = self.solutions(prompt_NT)
        for i in np.flatnonzero(solutions_N != 1)[:1]:
            count = "several solutions" if solutions_N[i] else "no solution"
            raise UserError(f"{source}, line {lines[i][0]}: the problem has {count}", f"exactly one: {self.form}")
        return self.problems(prompt_NT, self.solve(prompt_NT))

    def render(self, prompt_T: np.ndarray, reply_T: np.ndarray) -> str:
        """The prompt's picture and the reply's, side by side."""
        left, right = (self.picture(byte_T.tobytes().decode("latin-1")).splitlines() for byte_T in (prompt_T, reply_T))
        return "\n".join(f"{one:{max(map(len, left))}}   {other}" for one, other in zip(left, right))

    def picture(self, cells: Sequence[str]) -> str:
        """T texts in rows of `width`."""
        return "\n".join("".join(cells[start : start + self.width]) for start in range(0, len(cells), self.width))

    def problems(self, prompt_NT: np.ndarray, target_NT: np.ndarray) -> Problems:
        """Prompts and their targets with all that follows from them."""
        return Problems(prompt_NT, target_NT, prompt_NT == BLANK, self.difficulty(prompt_NT), self.canonical(prompt_NT))


class Computed(Line):
    """A task whose answer follows from the prompt by computing: each prompt that is well formed has exactly one."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Fresh prompts, uint8 [n, T], a function of `rng` alone."""

    @abstractmethod
    def well_formed(self, prompt_NT: np.ndarray) -> np.ndarray:
        """Bool [N]: whether these bytes are a prompt of this configuration; they may be any."""

    @abstractmethod
    def answer(self, prompt_NT: np.ndarray) -> np.ndarray:
        """The replies, uint8 [N, T], to prompts that are well formed."""

    @abstractmethod
    def canonical_form(self, prompt_NT: np.ndarray) -> np.ndarray:
        """Of prompts that are well formed whole numbers from 0 on [N, K], equal for those that are the same under the task's symmetries."""

    def generate(self, rng: np.random.Generator, n: int) -> Problems:
        prompt_NT = self.sample(rng, n)
        return self.problems(prompt_NT, self.answer(prompt_NT))

    def verify(self, prompt_NT: np.ndarray, reply_NT: np.ndarray) -> np.ndarray:
        """Bool [N]: whether each reply is the prompt with the answer in its blanks."""
        right_N = self.well_formed(prompt_NT)
        right_N[right_N] = (self.answer(prompt_NT[right_N]) == reply_NT[right_N]).all(1)
        return right_N

    def solve(self, prompt_NT: np.ndarray) -> np.ndarray:
        """The answers, uint8 [N, T]. Raises UserError for a prompt that is not well formed."""
        for i in np.flatnonzero(~self.well_formed(prompt_NT))[:1]:
            raise UserError(f"{prompt_NT[i, :60].tobytes().decode('latin-1')!r} is no problem of {self.name} with {self.config}", self.form)
        return self.answer(prompt_NT)

    def solutions(self, prompt_NT: np.ndarray) -> np.ndarray:
        """int64 [N]: 1 where a prompt is well formed, else 0."""
        return self.well_formed(prompt_NT).astype(np.int64)

    def canonical(self, prompt_NT: np.ndarray) -> np.ndarray:
        """The hash of each prompt's canonical form, uint64 [N]; where a prompt is not well formed, of its bytes."""
        known_N = self.well_formed(prompt_NT)
        family_N = np.empty(len(prompt_NT), np.uint64)
        family_N[known_N] = fingerprint(self.canonical_form(prompt_NT[known_N]))
        family_N[~known_N] = fingerprint(prompt_NT[~known_N])
        return family_N


def kept(prompt_NT: np.ndarray, reply_NT: np.ndarray) -> np.ndarray:
    """Bool [N]: whether a reply differs from its prompt in blanks only."""
    return ((prompt_NT == BLANK) | (prompt_NT == reply_NT)).all(1)


def renamed(problems: Problems, byte_NC: np.ndarray) -> Problems:
    """Each problem with its bytes exchanged for those that byte_NC, uint8 [N, 256], has in their place."""
    row_N1 = np.arange(len(problems))[:, None]
    return replace(problems, prompt=byte_NC[row_N1, problems.prompt], target=byte_NC[row_N1, problems.target])


def check_whole(what: str, value: object, least: int, most: int) -> None:
    """Raises UserError unless an option, named by `what`, is a whole number from `least` to `most`."""
    if type(value) is not int or not least <= value <= most:
        raise UserError(f"{what} = {value!r}", f"a whole number from {least:,} to {most:,}")


@njit(cache=True, nogil=True)
def fingerprint(form_NK: np.ndarray) -> np.ndarray:
    """Rows of whole numbers from 0 on [N, K] -> their hashes, uint64 [N]: FNV-1a (Fowler, Noll, Vo), number by number instead of byte by byte."""
    hash_N = np.full(len(form_NK), 0xCBF29CE484222325, np.uint64)
    for i in range(len(form_NK)):
        state = hash_N[i]
        for k in range(form_NK.shape[1]):
            state = (state ^ np.uint64(form_NK[i, k])) * np.uint64(0x100000001B3)
        hash_N[i] = state
    return hash_N

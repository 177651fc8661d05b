"""Puzzles: lines in which clues are given and one solution is left, which an exact search finds and proves to be the only one.

Axes: N problems, T positions of the prompt, X variables.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import ClassVar

import numpy as np

from bdh_reason.errors import UserError
from bdh_reason.lines import BLANK, Line, kept
from bdh_reason.search import Network, Solved, dig, obeyed, solve
from bdh_reason.task import Problems


class Puzzle(Line):
    """A task of variables at the positions `places` of the prompt, int64 [X], whose values are the symbols; the other positions are never blank.

    Difficulty is the number of guesses in a proof of the solution, of a search that deduces between them.
    """

    edges: ClassVar[tuple[float, ...]] = (0, 2, 10, 50)
    places: np.ndarray

    @abstractmethod
    def network(self, prompt_NT: np.ndarray) -> Network:
        """The rules that prompts which are well formed set."""

    def well_formed(self, prompt_NT: np.ndarray) -> np.ndarray:
        """Bool [N]: whether all bytes but those of the variables are a prompt's of this configuration; here there are no others."""
        return np.ones(len(prompt_NT), bool)

    def dug(self, rng: np.random.Generator, target_NT: np.ndarray) -> Problems:
        """Problems with these solutions, in which no clue can be spared, as far as `dig` finds out."""
        shown_NX = dig(self.network(target_NT), rng, self._value_B[target_NT[:, self.places]])
        prompt_NT = target_NT.copy()
        prompt_NT[:, self.places] = np.where(shown_NX, target_NT[:, self.places], BLANK)
        return self.problems(prompt_NT, target_NT)

    def difficulty(self, prompt_NT: np.ndarray) -> np.ndarray:
        return self._search(prompt_NT, 2).guesses_N.astype(np.float32)

    def verify(self, prompt_NT: np.ndarray, reply_NT: np.ndarray) -> np.ndarray:
        """Bool [N]: whether each reply keeps its prompt, gives every variable a value and obeys the rules."""
        value_NX = self._value_B[reply_NT[:, self.places]]
        right_N = kept(prompt_NT, reply_NT) & self.well_formed(prompt_NT) & (value_NX >= 0).all(1)
        right_N[right_N] = obeyed(self.network(prompt_NT[right_N]), value_NX[right_N])
        return right_N

    def solve(self, prompt_NT: np.ndarray) -> np.ndarray:
        """A solution of each prompt, uint8 [N, T]. Raises UserError for a prompt without one."""
        solved = self._search(prompt_NT, 1)
        for i in np.flatnonzero(solved.solutions_N == 0)[:1]:
            raise UserError(f"{prompt_NT[i, :60].tobytes().decode('latin-1')!r} has no solution as {self.name} with {self.config}", self.form)
        reply_NT = prompt_NT.copy()
        reply_NT[:, self.places] = np.frombuffer(self.symbols, np.uint8)[solved.value_NX]
        return reply_NT

    def solutions(self, prompt_NT: np.ndarray) -> np.ndarray:
        """int64 [N]: how many solutions a prompt has, counted up to 2; none where it is not well formed."""
        return self._search(prompt_NT, 2).solutions_N

    def _search(self, prompt_NT: np.ndarray, limit: int) -> Solved:
        right_N = self.well_formed(prompt_NT)
        state_B = np.where(self._value_B < 0, 0, 1 << np.maximum(self._value_B, 0))
        state_B[BLANK] = (1 << len(self.symbols)) - 1
        found = solve(self.network(prompt_NT[right_N]), state_B[prompt_NT[right_N][:, self.places]], limit)
        every = Solved(np.zeros(len(right_N), np.int64), np.zeros(len(right_N), np.int64), np.zeros((len(right_N), len(self.places)), np.int64))
        every.solutions_N[right_N], every.guesses_N[right_N], every.value_NX[right_N] = found.solutions_N, found.guesses_N, found.value_NX
        return every

    @cached_property
    def _value_B(self) -> np.ndarray:
        """The value that each byte stands for, int64 [256]; -1 for a byte that is no symbol."""
        value_B = np.full(256, -1)
        value_B[np.frombuffer(self.symbols, np.uint8)] = np.arange(len(self.symbols))
        return value_B

"""Cellular automata: a rule, a row of bits and `>` for every step; blanks for the row after all steps. Sequential depth without intermediate rows.

The rule is shown, one bit for every neighbourhood of 2·radius + 1 cells, from all zeros to all ones with the left cell as the highest bit; the row is a
ring. So the answer follows, where a rule inferred from a few rows would leave several. The horizon is the number of steps. Problems are the same where
turning the ring, mirroring it or exchanging 0 and 1, in rule and row alike, takes one to the other, and rules that are the same so never lie in two
splits of a data set: radius 1 has 88 such rules, radius 2 about 2^30.

    options  radius=1 width=8 steps=2
    prompt   1100110101011101>>........
    reply    1100110101011101>>01010101
    chance   3.9e-03

After Burtsev (2024, "Learning Elementary Cellular Automata with Transformers"). Axes: N problems, T positions, W cells, R neighbourhoods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit

from bdh_reason.errors import UserError
from bdh_reason.lines import BLANK, Computed, check_whole, fingerprint
from bdh_reason.task import Problems

_STEP, _ZERO = ord(">"), ord("0")
_TRIES = 1_000  # times a batch is drawn until enough of its rules belong to a split


@dataclass(frozen=True)
class Config:
    """`steps` of a rule that sees `radius` cells to both sides, on a ring of `width`."""

    steps: int = 2
    radius: int = 2
    width: int = 32

    def __post_init__(self) -> None:
        check_whole("steps of automaton", self.steps, 1, 32)
        check_whole("radius of automaton", self.radius, 1, 2)
        check_whole("width of automaton", self.width, 2 * self.radius + 1, 64)


EXAMPLES = (Config(), Config(3, radius=1, width=8))


class Task(Computed):
    """A rule, a row, and how far to roll it forward."""

    name: ClassVar[str] = "automaton"
    version: ClassVar[str] = "1"
    horizon: ClassVar[str] = "steps"
    ladder: ClassVar[tuple[int, ...]] = (1, 2, 3, 4, 6, 8, 12, 16)
    apart: bool = True
    form: ClassVar[str] = "the rule's bits, the row's bits, a > for each step, and a blank for each cell"
    symbols = b"01"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.neighbourhoods = 2 ** (2 * config.radius + 1)
        self._parts = np.cumsum([0, self.neighbourhoods, config.width, config.steps, config.width])
        self.positions = int(self._parts[-1])

    def coordinates(self) -> np.ndarray:
        """The part: rule, row, steps or answer; the place in it."""
        return np.concatenate([np.column_stack([np.full(n, part), np.arange(n)]) for part, n in enumerate(np.diff(self._parts))]).astype(np.int16)

    def picture(self, cells: Sequence[str]) -> str:
        """The four parts below each other."""
        return "\n".join("".join(cells[start:end]) for start, end in zip(self._parts, self._parts[1:]))

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        prompt_NT = np.full((n, self.positions), BLANK, np.uint8)
        prompt_NT[:, : self._parts[2]] = rng.integers(_ZERO, _ZERO + 2, (n, self._parts[2]), np.uint8)
        prompt_NT[:, self._parts[2] : self._parts[3]] = _STEP
        return prompt_NT

    def grow(self, rng: np.random.Generator, n: int, belongs: Callable[[np.ndarray], np.ndarray]) -> Problems:
        """Problems whose rules belong to one split. Raises UserError where hardly any does."""
        found = [np.empty((0, self.positions), np.uint8)]
        for _ in range(_TRIES):
            if (missing := n - sum(map(len, found))) <= 0:
                break
            prompt_NT = self.sample(rng, max(missing, 64))
            found.append(prompt_NT[belongs(self._rule_kin(prompt_NT))][:missing])
        else:
            raise UserError(f"{n} problems of {self.config} for one split", remedy="too few rules belong to it")
        prompt_NT = np.concatenate(found)
        return self.problems(prompt_NT, self.answer(prompt_NT))

    def kin(self, problems: Problems) -> np.ndarray:
        """Equal for problems whose rules are the same, mirrored or with 0 and 1 exchanged."""
        return self._rule_kin(problems.prompt)

    def islands(self, problems: Problems, call_N: np.ndarray) -> np.ndarray:
        """Those of one rule: a call draws every problem anew, and of radius 1 there are some dozen rules in a test."""
        return np.unique(self.kin(problems), return_inverse=True)[1]

    def well_formed(self, prompt_NT: np.ndarray) -> np.ndarray:
        shown_NX, step_Nk, asked_NW = np.split(prompt_NT, self._parts[2:4], 1)
        return ((shown_NX == _ZERO) | (shown_NX == _ZERO + 1)).all(1) & (step_Nk == _STEP).all(1) & (asked_NW == BLANK).all(1)

    def answer(self, prompt_NT: np.ndarray) -> np.ndarray:
        reply_NT = prompt_NT.copy()
        reply_NT[:, self._parts[3] :] = _ZERO + _roll(*self._bits(prompt_NT), self.config.steps, self.config.radius)
        return reply_NT

    def augment(self, rng: np.random.Generator, problems: Problems) -> Problems:
        """Each problem turned by a random number of cells, mirrored or not, with 0 and 1 exchanged or not."""
        n, width = len(problems), self.config.width
        rule_NR, row_NW = self._bits(problems.prompt)
        flip_N1, mirror_N1 = (rng.integers(0, 2, (n, 1), np.uint8) for _ in range(2))
        place_NW = (np.arange(width) + rng.integers(0, width, (n, 1))) % width
        place_NW = np.where(mirror_N1, place_NW[:, ::-1], place_NW)
        from_NR = np.where(mirror_N1, _mirrored(self.config.radius), np.arange(self.neighbourhoods))
        from_NR = np.where(flip_N1, self.neighbourhoods - 1 - from_NR, from_NR)
        prompt_NT = problems.prompt.copy()
        shown_NX = np.concatenate([np.take_along_axis(rule_NR, from_NR, 1), np.take_along_axis(row_NW, place_NW, 1)], 1)
        prompt_NT[:, : self._parts[2]] = _ZERO + (shown_NX ^ flip_N1)
        return Problems(prompt_NT, self.answer(prompt_NT), problems.scored, problems.difficulty, problems.family)

    def canonical_form(self, prompt_NT: np.ndarray) -> np.ndarray:
        """The least of all images of the rule, and the least of the row's under those that lead to it."""
        return _least(*self._bits(prompt_NT), _mirrored(self.config.radius))

    def _rule_kin(self, prompt_NT: np.ndarray) -> np.ndarray:
        """The hash of the canonical form of the rule alone, uint64 [N]."""
        rule_NR, row_NW = self._bits(prompt_NT)
        return fingerprint(_least(rule_NR, row_NW[:, :1], _mirrored(self.config.radius))[:, :1])

    def _bits(self, prompt_NT: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The bits of rule and row, uint8 [N, R] and [N, W]; other bytes of what is no prompt count by their last bit."""
        rule_NR, row_NW, _ = np.split(prompt_NT & 1, self._parts[1:3], 1)
        return rule_NR, row_NW


def _mirrored(radius: int) -> np.ndarray:
    """Each neighbourhood's number read from right to left, int64 [R]."""
    bits = 2 * radius + 1
    number_R = np.arange(2**bits)
    return np.sum([(number_R >> bit & 1) << (bits - 1 - bit) for bit in range(bits)], 0)


@njit(cache=True, nogil=True)
def _roll(rule_NR: np.ndarray, row_NW: np.ndarray, steps: int, radius: int) -> np.ndarray:
    """The rows after so many steps, uint8 [N, W]."""
    row_NW = row_NW.copy()
    width, mask = row_NW.shape[1], rule_NR.shape[1] - 1
    ring = np.empty(width + 2 * radius, np.uint8)
    for i in range(len(row_NW)):
        for _ in range(steps):
            for x in range(len(ring)):
                ring[x] = row_NW[i, (x - radius) % width]
            number = 0
            for x in range(2 * radius):
                number = number << 1 | ring[x]
            for x in range(width):
                number = (number << 1 | ring[x + 2 * radius]) & mask
                row_NW[i, x] = rule_NR[i, number]
    return row_NW


@njit(cache=True, nogil=True)
def _least(rule_NR: np.ndarray, row_NW: np.ndarray, mirrored_R: np.ndarray) -> np.ndarray:
    """Of the images of rule and row under mirroring, exchange and turning the least, rules first, each read as a binary number, uint64 [N, 2]."""
    neighbourhoods, width = rule_NR.shape[1], row_NW.shape[1]
    full = np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - width)
    least_N2 = np.full((len(rule_NR), 2), 0xFFFFFFFFFFFFFFFF, np.uint64)
    for i in range(len(rule_NR)):
        for mirror in range(2):
            for flip in range(2):
                rule, row = np.uint64(0), np.uint64(0)
                for k in range(neighbourhoods):
                    source = mirrored_R[k] if mirror else k
                    rule = rule << np.uint64(1) | np.uint64(rule_NR[i, neighbourhoods - 1 - source if flip else source] ^ flip)
                if rule > least_N2[i, 0]:
                    continue
                for x in range(width):
                    row = row << np.uint64(1) | np.uint64(row_NW[i, width - 1 - x if mirror else x] ^ flip)
                if rule < least_N2[i, 0]:
                    least_N2[i] = rule, row
                for _ in range(width):
                    row = (row << np.uint64(1) | row >> np.uint64(width - 1)) & full
                    least_N2[i, 1] = min(least_N2[i, 1], row)
    return least_N2

"""A memory of one bit: `w` writes the bit behind it, `i` ignores it, and `r` reads: a blank for the bit that was written last. Reliability at length.

The horizon is the number of bytes, two an instruction. The first instruction writes and the last reads; those between ignore with the chance `ignored`,
else write or read alike. No read shows its bit, so that none helps the next. Difficulty is the longest way, in instructions, from a write to a read of it.
Problems are the same where exchanging 0 and 1 takes one to the other, whatever bits are ignored.

    options  length=16 ignored=0.5
    prompt   w1i0r.i1w0r.i1r.
    reply    w1i0r1i1w0r0i1r0
    chance   1.2e-01

After Liu et al. (2023, "Exposing Attention Glitches with Flip-Flop Language Modeling"). Axes: N problems, T positions, I instructions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit

from bdh_reason.errors import UserError
from bdh_reason.lines import BLANK, Computed, check_whole
from bdh_reason.task import Problems

_WRITE, _READ, _IGNORE, _ZERO = b"wri0"


@dataclass(frozen=True)
class Config:
    """`length`: how many bytes. `ignored`: the share of instructions that only distract; 0.8 is usual, 0.98 sparse."""

    length: int = 64
    ignored: float = 0.8

    def __post_init__(self) -> None:
        check_whole("length of flipflop", self.length, 16, 8192)
        if self.length % 2:
            raise UserError(f"length = {self.length} of flipflop", "an even number: an instruction is two bytes")
        if not 0 <= self.ignored < 1:
            raise UserError(f"ignored = {self.ignored} of flipflop", "a share from 0 to below 1")


EXAMPLES = (Config(), Config(24, 0.0), Config(256, 0.98))


class Task(Computed):
    """A stream of instructions."""

    name: ClassVar[str] = "flipflop"
    version: ClassVar[str] = "1"
    edges: ClassVar[tuple[float, ...]] = (16.0, 64.0, 256.0, 1024.0)
    horizon: ClassVar[str] = "length"
    ladder: ClassVar[tuple[int, ...]] = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
    form: ClassVar[str] = "w or i with a bit, or r with a blank; the first writes and the last reads"
    symbols = b"01"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.positions = config.length

    def coordinates(self) -> np.ndarray:
        """The instruction; itself or its bit."""
        return np.column_stack(divmod(np.arange(self.positions), 2)).astype(np.int16)

    def difficulty(self, prompt_NT: np.ndarray) -> np.ndarray:
        """The longest way from a write to a read of it, in instructions."""
        return _farthest(prompt_NT)

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        draw_NI = rng.random((n, self.positions // 2), np.float32)
        writes = self.config.ignored + (1 - self.config.ignored) / 2
        prompt_NT = np.empty((n, self.positions), np.uint8)
        prompt_NT[:, ::2] = np.where(draw_NI < self.config.ignored, _IGNORE, np.where(draw_NI < writes, _WRITE, _READ))
        prompt_NT[:, 0], prompt_NT[:, -2] = _WRITE, _READ
        bit_NI = rng.integers(_ZERO, _ZERO + 2, draw_NI.shape, np.uint8)
        prompt_NT[:, 1::2] = np.where(prompt_NT[:, ::2] == _READ, BLANK, bit_NI)
        return prompt_NT

    def well_formed(self, prompt_NT: np.ndarray) -> np.ndarray:
        do_NI, with_NI = prompt_NT[:, ::2], prompt_NT[:, 1::2]
        stores_NI = ((do_NI == _WRITE) | (do_NI == _IGNORE)) & ((with_NI == _ZERO) | (with_NI == _ZERO + 1))
        reads_NI = (do_NI == _READ) & (with_NI == BLANK)
        return (stores_NI | reads_NI).all(1) & (do_NI[:, 0] == _WRITE) & reads_NI[:, -1]

    def answer(self, prompt_NT: np.ndarray) -> np.ndarray:
        return _run(prompt_NT)

    def augment(self, rng: np.random.Generator, problems: Problems) -> Problems:
        """Each problem with its bits exchanged or not, and others where they are ignored."""
        flip_NI = np.repeat(rng.integers(0, 2, (len(problems), 1), np.uint8), self.positions // 2, 1)
        ignored_NI = problems.prompt[:, ::2] == _IGNORE
        flip_NI[ignored_NI] = rng.integers(0, 2, int(ignored_NI.sum()), np.uint8)
        prompt_NT = problems.prompt.copy()
        prompt_NT[:, 1::2] ^= np.where(problems.scored[:, 1::2], np.uint8(0), flip_NI)
        return Problems(prompt_NT, self.answer(prompt_NT), problems.scored, problems.difficulty, problems.family)

    def canonical_form(self, prompt_NT: np.ndarray) -> np.ndarray:
        """The instructions; those that write with whether their bit is the first one."""
        do_NI, with_NI = prompt_NT[:, ::2], prompt_NT[:, 1::2]
        return np.where(do_NI == _WRITE, with_NI == with_NI[:, :1], do_NI)


@njit(cache=True, nogil=True)
def _run(prompt_NT: np.ndarray) -> np.ndarray:
    """The replies, uint8 [N, T]."""
    reply_NT = prompt_NT.copy()
    for i in range(len(prompt_NT)):
        bit = reply_NT[i, 1]
        for place in range(0, prompt_NT.shape[1], 2):
            if reply_NT[i, place] == _WRITE:
                bit = reply_NT[i, place + 1]
            elif reply_NT[i, place] == _READ:
                reply_NT[i, place + 1] = bit
    return reply_NT


@njit(cache=True, nogil=True)
def _farthest(prompt_NT: np.ndarray) -> np.ndarray:
    """The longest way from a write to a read of it, in instructions, float32 [N]."""
    farthest_N = np.zeros(len(prompt_NT), np.float32)
    for i in range(len(prompt_NT)):
        written = farthest = 0
        for place in range(0, prompt_NT.shape[1], 2):
            if prompt_NT[i, place] == _WRITE:
                written = place
            elif prompt_NT[i, place] == _READ:
                farthest = max(farthest, place - written)
        farthest_N[i] = farthest // 2
    return farthest_N

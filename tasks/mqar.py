"""Associative recall with many queries: pairs of a key and its value, then keys again, each with a blank for its value. Memory for arbitrary facts.

A key is two bytes out of small letters, digits and punctuation, or with `letters` 1 one of these 67; a value is one capital letter. With `rewritten`
above 0 that share of the pairs gives a key a value again, anywhere in the list, and the last one wins: what was stored has to be forgotten. The horizon is
the number of pairs; the number of queries stays the same, so that exact_match means the same at every horizon. Problems are the same where renaming keys
and values takes one to the other.

    options  pairs=4 queries=2 rewritten=0.25
    prompt   x2Kq)Bx2Aa!Kx2.q).
    reply    x2Kq)Bx2Aa!Kx2Aq)B
    chance   1.5e-03

After Arora et al. (2023, "Zoology"), with queries drawn evenly, none a second time before all were asked. Axes: N problems, T positions, P pairs, Q queries,
D keys that were written, R bytes of a key and its value.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit

from bdh_reason.errors import UserError
from bdh_reason.lines import BLANK, Computed, check_whole
from bdh_reason.task import Problems

_VALUES = string.ascii_uppercase.encode()
_MARKS = (string.ascii_lowercase + string.digits + "".join(mark for mark in string.punctuation if mark != ".")).encode()
_MARK, _VALUE = (np.frombuffer(letters, np.uint8) for letters in (_MARKS, _VALUES))


@dataclass(frozen=True)
class Config:
    """`pairs` are written, of which the share `rewritten`, up to 0.75, writes a key that was written already or will be again; then come `queries`.
    A key has `letters` bytes.
    """

    pairs: int = 16
    queries: int = 16
    rewritten: float = 0.0
    letters: int = 2

    def __post_init__(self) -> None:
        check_whole("pairs of mqar", self.pairs, 4, 4096)
        check_whole("queries of mqar", self.queries, 1, 4096)
        check_whole("letters of a key of mqar", self.letters, 1, 2)
        if not 0 <= self.rewritten <= 0.75:
            raise UserError(f"rewritten = {self.rewritten} of mqar", "a share from 0 to 0.75")
        if self.keys > self.names:
            raise UserError(f"{self.keys} keys of {self.letters} byte", f"up to {self.names}", "letters=2")

    @property
    def keys(self) -> int:
        """How many different keys are written."""
        return self.pairs - round(self.pairs * self.rewritten)

    @property
    def names(self) -> int:
        """How many keys there can be."""
        return len(_MARKS) ** self.letters  # type: ignore[no-any-return]


EXAMPLES = (Config(), Config(8, 4, 0.5), Config(8, 4, letters=1))


class Task(Computed):
    """Pairs, then queries."""

    name: ClassVar[str] = "mqar"
    version: ClassVar[str] = "2"
    horizon: ClassVar[str] = "pairs"
    ladder: ClassVar[tuple[int, ...]] = (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
    form: ClassVar[str] = "keys of one or two bytes with their values, capital letters; then keys that were written, each with a blank"
    symbols = _VALUES

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.record = config.letters + 1
        self.positions = self.record * (config.pairs + config.queries)

    def coordinates(self) -> np.ndarray:
        """The pair or query; the byte's place in it."""
        return np.column_stack(divmod(np.arange(self.positions), self.record)).astype(np.int16)

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        pairs, queries, keys = self.config.pairs, self.config.queries, self.config.keys
        again_NR = rng.integers(0, keys, (n, pairs - keys), np.int16)
        first_ND = np.tile(np.arange(keys, dtype=np.int16), (n, 1))
        written_NP = rng.permuted(np.concatenate([first_ND, again_NR], 1), axis=1)
        rounds = -(-queries // keys)
        asked_NQ = rng.permuted(np.tile(np.arange(keys, dtype=np.int16), (n * rounds, 1)), axis=1).reshape(n, rounds * keys)[:, :queries]
        value_NP = rng.integers(0, len(_VALUES), (n, pairs), np.uint8)
        return self._spell(rng.random((n, keys)), np.concatenate([written_NP, asked_NQ], 1), _VALUE[value_NP])

    def well_formed(self, prompt_NT: np.ndarray) -> np.ndarray:
        key_NX, value_NX = self._keys(prompt_NT), prompt_NT[:, self.config.letters :: self.record]
        value_NP, blank_NQ = np.split(value_NX, [self.config.pairs], 1)
        spelled_N = (key_NX >= 0).all(1) & np.isin(value_NP, _VALUE).all(1) & (blank_NQ == BLANK).all(1)
        spelled_N[spelled_N] = _were_written(key_NX[spelled_N], self.config.pairs, self.config.names)
        return spelled_N

    def answer(self, prompt_NT: np.ndarray) -> np.ndarray:
        reply_NT = prompt_NT.copy()
        value_NX = reply_NT[:, self.config.letters :: self.record]
        value_NX[:, self.config.pairs :] = _recall(self._keys(prompt_NT), value_NX[:, : self.config.pairs], self.config.names)
        return reply_NT

    def augment(self, rng: np.random.Generator, problems: Problems) -> Problems:
        """Each problem with other keys, and its values exchanged."""
        n, byte_NC = len(problems), np.zeros((len(problems), 256), np.uint8)
        byte_NC[:, _VALUE] = rng.permuted(np.tile(_VALUE, (n, 1)), axis=1)
        value_NP = np.take_along_axis(byte_NC, self._values(problems.prompt).astype(np.int64), 1)
        place_NX = _numbered(self._keys(problems.prompt), self.config.names)
        prompt_NT = self._spell(rng.random((n, min(self.config.pairs, self.config.names))), place_NX, value_NP)
        return Problems(prompt_NT, self.answer(prompt_NT), problems.scored, problems.difficulty, problems.family)

    def canonical_form(self, prompt_NT: np.ndarray) -> np.ndarray:
        """Keys and values are called by their turn of first appearance."""
        value_NP = self._values(prompt_NT).astype(np.int16)
        return np.concatenate([_numbered(self._keys(prompt_NT), self.config.names), _numbered(value_NP, 256)], 1)

    def _values(self, prompt_NT: np.ndarray) -> np.ndarray:
        """What is written, uint8 [N, P]."""
        return prompt_NT[:, self.config.letters :: self.record][:, : self.config.pairs]

    def _keys(self, prompt_NT: np.ndarray) -> np.ndarray:
        """The number of each key in pairs and queries, int32 [N, P + Q]; negative where its bytes are none."""
        mark_C = np.full(256, -self.config.names, np.int32)
        mark_C[_MARK] = np.arange(len(_MARK))
        key_NX = mark_C[prompt_NT[:, :: self.record]]
        return key_NX if self.config.letters == 1 else key_NX * len(_MARK) + mark_C[prompt_NT[:, 1 :: self.record]]

    def _spell(self, draw_ND: np.ndarray, place_NX: np.ndarray, value_NP: np.ndarray) -> np.ndarray:
        """Prompts uint8 [N, T] of as many keys as draws, of which place_NX says which stands where, and of the bytes of the values."""
        key_NX = np.take_along_axis(_distinct(draw_ND, self.config.names), place_NX.astype(np.int64), 1)
        prompt_NXR = np.full((*key_NX.shape, self.record), BLANK, np.uint8)
        for letter in reversed(range(self.config.letters)):
            key_NX, mark_NX = np.divmod(key_NX, len(_MARK))
            prompt_NXR[:, :, letter] = _MARK[mark_NX]
        prompt_NXR[:, : value_NP.shape[1], self.config.letters] = value_NP
        return prompt_NXR.reshape(len(prompt_NXR), self.positions)


@njit(cache=True, nogil=True)
def _distinct(draw_ND: np.ndarray, names: int) -> np.ndarray:
    """Draws from [0, 1) -> numbers below `names` that differ in every row, int16 [N, D]: the beginning of a shuffle (Fisher and Yates)."""
    key_ND = np.empty(draw_ND.shape, np.int16)
    deck = np.arange(names).astype(np.int16)
    for i in range(len(draw_ND)):
        for k in range(draw_ND.shape[1]):
            other = k + int(draw_ND[i, k] * (names - k))
            key_ND[i, k] = deck[other]
            deck[other] = deck[k]
            deck[k] = key_ND[i, k]
    return key_ND


@njit(cache=True, nogil=True)
def _were_written(key_NX: np.ndarray, pairs: int, names: int) -> np.ndarray:
    """Bool [N]: whether every key after the first `pairs` is among these."""
    known_N = np.ones(len(key_NX), np.bool_)
    seen_K = np.full(names, -1)
    for i in range(len(key_NX)):
        for place in range(pairs):
            seen_K[key_NX[i, place]] = i
        for place in range(pairs, key_NX.shape[1]):
            known_N[i] &= seen_K[key_NX[i, place]] == i
    return known_N


@njit(cache=True, nogil=True)
def _recall(key_NX: np.ndarray, value_NP: np.ndarray, names: int) -> np.ndarray:
    """The value that was last written under each key asked for, uint8 [N, Q]."""
    pairs = value_NP.shape[1]
    value_NQ = np.empty((len(key_NX), key_NX.shape[1] - pairs), np.uint8)
    value_K = np.zeros(names, np.uint8)
    for i in range(len(key_NX)):
        for place in range(pairs):
            value_K[key_NX[i, place]] = value_NP[i, place]
        for place in range(pairs, key_NX.shape[1]):
            value_NQ[i, place - pairs] = value_K[key_NX[i, place]]
    return value_NQ


@njit(cache=True, nogil=True)
def _numbered(name_NX: np.ndarray, names: int) -> np.ndarray:
    """Names below `names` -> 0 for the first of a row, 1 for the next other one, …, int16 [N, X]."""
    number_NX = np.empty(name_NX.shape, np.int16)
    row_K, number_K = np.full(names, -1), np.empty(names, np.int16)
    for i in range(len(name_NX)):
        known = 0
        for place in range(name_NX.shape[1]):
            name = name_NX[i, place]
            if row_K[name] != i:
                row_K[name], number_K[name] = i, known
                known += 1
            number_NX[i, place] = number_K[name]
    return number_NX

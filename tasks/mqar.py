"""Associative recall with many queries: pairs of a key and its value, then keys again, each with a blank for its value. Memory for arbitrary facts.

A key is two bytes out of small letters, digits and punctuation, a value one capital letter. With `rewritten` above 0 that share of the pairs gives a key
a value again, anywhere in the list, and the last one wins: what was stored has to be forgotten. The horizon is the number of pairs; the number of queries
stays the same, so that exact_match means the same at every horizon. Problems are the same where renaming keys and values takes one to the other.

    options  pairs=4 queries=2 rewritten=0.25
    prompt   x2Kq)Bx2Aa!Kx2.q).
    reply    x2Kq)Bx2Aa!Kx2Aq)B
    chance   1.5e-03

After Arora et al. (2023, "Zoology"), with queries drawn evenly. Axes: N problems, T positions, P pairs, Q queries, D keys that were written.
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
KEYS = len(_MARKS) ** 2


@dataclass(frozen=True)
class Config:
    """`pairs` are written, of which the share `rewritten`, up to 0.75, writes a key that was written already or will be again; then come `queries`."""

    pairs: int = 16
    queries: int = 16
    rewritten: float = 0.0

    def __post_init__(self) -> None:
        check_whole("pairs of mqar", self.pairs, 4, 4096)
        check_whole("queries of mqar", self.queries, 1, 4096)
        if not 0 <= self.rewritten <= 0.75:
            raise UserError(f"rewritten = {self.rewritten} of mqar", "a share from 0 to 0.75")

    @property
    def keys(self) -> int:
        """How many different keys are written."""
        return self.pairs - round(self.pairs * self.rewritten)


EXAMPLES = (Config(), Config(8, 4, 0.5))


class Task(Computed):
    """Pairs, then queries."""

    name: ClassVar[str] = "mqar"
    version: ClassVar[str] = "1"
    horizon: ClassVar[str] = "pairs"
    ladder: ClassVar[tuple[int, ...]] = (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
    form: ClassVar[str] = "keys of two bytes with their values, capital letters; then keys that were written, each with a blank"
    symbols = _VALUES

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.positions = 3 * (config.pairs + config.queries)

    def coordinates(self) -> np.ndarray:
        """The pair or query; the byte's place in it."""
        return np.column_stack(divmod(np.arange(self.positions), 3)).astype(np.int16)

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        pairs, queries, keys = self.config.pairs, self.config.queries, self.config.keys
        again_NR = rng.integers(0, keys, (n, pairs - keys), np.int16)
        first_ND = np.tile(np.arange(keys, dtype=np.int16), (n, 1))
        written_NP = rng.permuted(np.concatenate([first_ND, again_NR], 1), axis=1)
        asked_NQ = rng.integers(0, keys, (n, queries), np.int16)
        value_NP = rng.integers(0, len(_VALUES), (n, pairs), np.uint8)
        return _spell(_distinct(rng.random((n, keys))), np.concatenate([written_NP, asked_NQ], 1), _VALUE[value_NP])

    def well_formed(self, prompt_NT: np.ndarray) -> np.ndarray:
        key_NX, value_NP = _keys(prompt_NT), prompt_NT[:, 2 : 3 * self.config.pairs : 3]
        spelled_N = (key_NX >= 0).all(1) & np.isin(value_NP, _VALUE).all(1) & (prompt_NT[:, 3 * self.config.pairs + 2 :: 3] == BLANK).all(1)
        spelled_N[spelled_N] = _were_written(key_NX[spelled_N], self.config.pairs)
        return spelled_N

    def answer(self, prompt_NT: np.ndarray) -> np.ndarray:
        pairs = self.config.pairs
        reply_NT = prompt_NT.copy()
        reply_NT[:, 3 * pairs + 2 :: 3] = _recall(_keys(prompt_NT), prompt_NT[:, 2 : 3 * pairs : 3])
        return reply_NT

    def augment(self, rng: np.random.Generator, problems: Problems) -> Problems:
        """Each problem with other keys, and its values exchanged."""
        n, pairs = len(problems), self.config.pairs
        place_NX, byte_NC = _numbered(_keys(problems.prompt), KEYS), np.zeros((n, 256), np.uint8)
        byte_NC[:, _VALUE] = rng.permuted(np.tile(_VALUE, (n, 1)), axis=1)
        value_NP = np.take_along_axis(byte_NC, problems.prompt[:, 2 : 3 * pairs : 3].astype(np.int64), 1)
        prompt_NT = _spell(_distinct(rng.random((n, pairs))), place_NX, value_NP)
        return Problems(prompt_NT, self.answer(prompt_NT), problems.scored, problems.difficulty, problems.family)

    def canonical_form(self, prompt_NT: np.ndarray) -> np.ndarray:
        """Keys and values are called by their turn of first appearance."""
        return np.concatenate([_numbered(_keys(prompt_NT), KEYS), _numbered(prompt_NT[:, 2 : 3 * self.config.pairs : 3].astype(np.int16), 256)], 1)


def _keys(prompt_NT: np.ndarray) -> np.ndarray:
    """The number of each key in pairs and queries, int32 [N, P + Q]; negative where two bytes are none."""
    mark_C = np.full(256, -KEYS, np.int32)
    mark_C[_MARK] = np.arange(len(_MARK))
    return mark_C[prompt_NT[:, ::3]] * len(_MARK) + mark_C[prompt_NT[:, 1::3]]


def _spell(key_ND: np.ndarray, place_NX: np.ndarray, value_NP: np.ndarray) -> np.ndarray:
    """Prompts uint8 [N, T] of keys by their numbers, of which place_NX says which stands where, and of the bytes of the values."""
    high_NX, low_NX = np.divmod(np.take_along_axis(key_ND, place_NX.astype(np.int64), 1), len(_MARK))
    prompt_NX3 = np.stack([_MARK[high_NX], _MARK[low_NX], np.full(high_NX.shape, BLANK, np.uint8)], 2)
    prompt_NX3[:, : value_NP.shape[1], 2] = value_NP
    return prompt_NX3.reshape(len(prompt_NX3), 3 * prompt_NX3.shape[1])


@njit(cache=True, nogil=True)
def _distinct(draw_ND: np.ndarray) -> np.ndarray:
    """Draws from [0, 1) -> numbers of keys that differ in every row, int16 [N, D]: the beginning of a shuffle (Fisher and Yates)."""
    key_ND = np.empty(draw_ND.shape, np.int16)
    deck = np.arange(KEYS).astype(np.int16)
    for i in range(len(draw_ND)):
        for k in range(draw_ND.shape[1]):
            other = k + int(draw_ND[i, k] * (KEYS - k))
            key_ND[i, k] = deck[other]
            deck[other] = deck[k]
            deck[k] = key_ND[i, k]
    return key_ND


@njit(cache=True, nogil=True)
def _were_written(key_NX: np.ndarray, pairs: int) -> np.ndarray:
    """Bool [N]: whether every key after the first `pairs` is among these."""
    known_N = np.ones(len(key_NX), np.bool_)
    seen_K = np.full(KEYS, -1)
    for i in range(len(key_NX)):
        for place in range(pairs):
            seen_K[key_NX[i, place]] = i
        for place in range(pairs, key_NX.shape[1]):
            known_N[i] &= seen_K[key_NX[i, place]] == i
    return known_N


@njit(cache=True, nogil=True)
def _recall(key_NX: np.ndarray, value_NP: np.ndarray) -> np.ndarray:
    """The value that was last written under each key asked for, uint8 [N, Q]."""
    pairs = value_NP.shape[1]
    value_NQ = np.empty((len(key_NX), key_NX.shape[1] - pairs), np.uint8)
    value_K = np.zeros(KEYS, np.uint8)
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

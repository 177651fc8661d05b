"""A language that nobody speaks: a Markov chain over letters, drawn from a seed. How many bits its texts take at least is computed, not estimated.

Axes: C contexts (the last `order` letters, k^order of them), k letters, n documents, T letters of a document.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bdh_reason.rng import generator

LETTERS = b" etaoinshrdlucmfwypvbgkjqxz"
CONCENTRATION = 0.15  # of the Dirichlet distribution that a context's letters are drawn from: few of them are likely
SLOTS = 1024  # a letter's probability is a whole number of these, at least one: every text is possible, and a letter is drawn by one look
CONTEXTS = 2**10  # whose long run is solved for exactly


@dataclass(frozen=True, eq=False)
class Language:
    """The chain of `order` over the first `letters` of LETTERS that belongs to `seed`."""

    order: int
    letters: int
    seed: int

    @cached_property
    def _slots_Ck(self) -> np.ndarray:
        draw, contexts = generator(self.seed, "synthetic language"), self.letters**self.order
        return 1 + draw.multinomial(SLOTS - self.letters, draw.dirichlet(np.full(self.letters, CONCENTRATION), contexts))

    @cached_property
    def next_Ck(self) -> np.ndarray:
        """The probability of each next letter after each context, float64 [C, k]."""
        return self._slots_Ck / SLOTS

    @cached_property
    def stationary_C(self) -> np.ndarray:
        """How often each context comes in the long run, and at the beginning of a document, float64 [C]."""
        contexts, letters = self.next_Ck.shape
        later_CC = np.zeros((contexts, contexts))
        later_CC[np.arange(contexts)[:, None], np.arange(contexts * letters).reshape(contexts, letters) % contexts] = self.next_Ck
        balance_CC = later_CC.T - np.eye(contexts)
        balance_CC[-1] = 1  # one of the equations follows from the others; the shares add up to 1
        return np.linalg.solve(balance_CC, np.eye(contexts)[-1])

    @cached_property
    def rate(self) -> float:
        """The entropy rate in bits per letter: what the next letter of a long text is worth at least."""
        return float(self.stationary_C @ _entropy(self.next_Ck))

    def expected(self, length: int) -> float:
        """Bits that a document of `length` letters takes in the mean: its first context, then the rate. At least `order` letters."""
        return float(_entropy(self.stationary_C)) + (length - self.order) * self.rate

    def write(self, rng: np.random.Generator, n: int, length: int) -> np.ndarray:
        """N documents, uint8 [n, T]."""
        context_n = np.searchsorted(np.cumsum(self.stationary_C), rng.random(n) * (1 - 1e-12))
        start_no = context_n[:, None] // self.letters ** np.arange(self.order)[::-1] % self.letters
        letter_nT = np.empty((n, length), np.int64)
        letter_nT[:, : self.order] = start_no
        letter_s = np.repeat(np.tile(np.arange(self.letters), len(self._slots_Ck)), self._slots_Ck.ravel())
        slot_Tn = rng.integers(SLOTS, size=(length, n))
        for place in range(self.order, length):
            letter_nT[:, place] = letter_n = letter_s[context_n * SLOTS + slot_Tn[place]]
            context_n = (context_n * self.letters + letter_n) % len(self._slots_Ck)
        return np.frombuffer(LETTERS, np.uint8)[letter_nT]

    def bits(self, document: np.ndarray) -> float:
        """What a document costs under the chain itself: the shortest code there is for it. It has at least `order` letters, all of the language."""
        number = np.zeros(256, np.int64)
        number[list(LETTERS)] = np.arange(len(LETTERS))
        letter_T = number[document]
        context_t = np.zeros(len(document) - self.order + 1, np.int64)  # the one that ends before each letter, and after the last
        for place in range(self.order):
            context_t = context_t * self.letters + letter_T[place : place + len(context_t)]
        following_t = self.next_Ck[context_t[:-1], letter_T[self.order :]]
        return float(-np.log2(self.stationary_C[context_t[0]]) - np.log2(following_t).sum())


def _entropy(p_k: np.ndarray) -> np.ndarray:
    """In bits, over the last axis, of which no entry is zero."""
    return -(p_k * np.log2(p_k)).sum(-1)

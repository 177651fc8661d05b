"""Running products in a group: every element is followed by a blank for the product of all elements so far. State tracking, step by step.

An element is one byte; the identity is `0`. Z2 and Z60 are counting modulo 2 and 60. A5 and S5 are the even and all permutations of five things in
lexicographic order, and ab is a, then b. The horizon is the number of elements. Two words are the same problem where an automorphism of the group takes
one to the other: conjugation by a permutation, and in Z60 multiplication by a number prime to 60.

    options  group=S5 length=4
    prompt   h.9.V.d.
    reply    hh9jVNdq
    chance   4.8e-09

Liu et al. (2023, "Transformers Learn Shortcuts to Automata") and Merrill et al. (2024, "The Illusion of State in State-Space Models") ask for these products.

Axes: N problems, T positions, L elements of a word, G elements of the group, A automorphisms.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from math import gcd
from typing import ClassVar, NamedTuple

import numpy as np
from numba import njit

from bdh_reason.errors import unknown
from bdh_reason.lines import BLANK, Computed, check_whole, renamed
from bdh_reason.task import Problems

LONGEST = 1024
_MARKS = string.digits + string.ascii_letters + "".join(mark for mark in string.punctuation if mark != ".")
_LETTERS = (_MARKS + "".join(map(chr, range(0xC0, 0x100)))).encode("latin-1")  # byte of an element, by its number


class Group(NamedTuple):
    """product_GG uint8: the number of ab at [a, b] · automorphism_AG uint8: where each automorphism takes each element."""

    product_GG: np.ndarray
    automorphism_AG: np.ndarray


def cyclic(order: int) -> Group:
    """The whole numbers modulo `order`."""
    number_G = np.arange(order)
    unit_A = np.array([unit for unit in range(1, order) if gcd(unit, order) == 1])
    return Group(*((table % order).astype(np.uint8) for table in (number_G[:, None] + number_G, unit_A[:, None] * number_G)))


def permuting(even: bool) -> Group:
    """The permutations of five things, or the even ones; all their automorphisms are conjugations by a permutation."""
    all_A5 = np.array(list(permutations(range(5))))
    crossings_A = (np.triu(all_A5[:, :, None] > all_A5[:, None, :])).sum((1, 2))
    some_G5 = all_A5[crossings_A % 2 == 0] if even else all_A5
    number_C = np.zeros(5**5, np.uint8)
    number_C[some_G5 @ 5 ** np.arange(5)] = np.arange(len(some_G5))

    def number(image: np.ndarray) -> np.ndarray:
        return number_C[image @ 5 ** np.arange(5)]

    inverse_A5 = np.argsort(all_A5, 1)
    conjugate_AG5 = np.stack([permutation_5[some_G5[:, inverse_5]] for permutation_5, inverse_5 in zip(all_A5, inverse_A5)])
    return Group(number(some_G5[:, some_G5].transpose(1, 0, 2)), number(conjugate_AG5))


GROUPS = {"Z2": lambda: cyclic(2), "Z60": lambda: cyclic(60), "A5": lambda: permuting(even=True), "S5": lambda: permuting(even=False)}


@cache
def group(name: str) -> Group:
    """A group by its name in GROUPS."""
    return GROUPS[name]()


@dataclass(frozen=True)
class Config:
    """`group`: Z2, Z60, A5 or S5. `length`: how many elements are multiplied."""

    group: str = "S5"
    length: int = 16

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise unknown("group", self.group, GROUPS)
        check_whole("length of a word in a group", self.length, 4, LONGEST)


EXAMPLES = (Config("Z2", 12), Config("Z60", 6), Config("A5", 5), Config("S5", 8))


class Task(Computed):
    """Words of group elements, with a blank after each."""

    name: ClassVar[str] = "groups"
    version: ClassVar[str] = "1"
    horizon: ClassVar[str] = "length"
    ladder: ClassVar[tuple[int, ...]] = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
    form: ClassVar[str] = "an element of the group and a blank in turn"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.group = group(config.group)
        self.symbols = _LETTERS[: len(self.group.product_GG)]
        self.positions = 2 * config.length
        self._letter_G = np.frombuffer(self.symbols, np.uint8)
        self._number_C = np.full(256, 255, np.uint8)
        self._number_C[self._letter_G] = np.arange(len(self.symbols))

    def coordinates(self) -> np.ndarray:
        """The element's place in the word; the element or the blank after it."""
        return np.column_stack(divmod(np.arange(self.positions), 2)).astype(np.int16)

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        prompt_NT = np.full((n, self.positions), BLANK, np.uint8)
        prompt_NT[:, ::2] = self._letter_G[rng.integers(0, len(self.symbols), (n, self.config.length), np.uint8)]
        return prompt_NT

    def well_formed(self, prompt_NT: np.ndarray) -> np.ndarray:
        return (self._number_C[prompt_NT[:, ::2]] != 255).all(1) & (prompt_NT[:, 1::2] == BLANK).all(1)

    def answer(self, prompt_NT: np.ndarray) -> np.ndarray:
        reply_NT = prompt_NT.copy()
        reply_NT[:, 1::2] = self._letter_G[_running(self._number_C[prompt_NT[:, ::2]], self.group.product_GG)]
        return reply_NT

    def augment(self, rng: np.random.Generator, problems: Problems) -> Problems:
        """Each problem under a random automorphism; Z2 has no other than the identity."""
        automorphism_AG = self.group.automorphism_AG
        if len(automorphism_AG) == 1:
            return problems
        byte_AC = np.tile(np.arange(256, dtype=np.uint8), (len(automorphism_AG), 1))
        byte_AC[:, self._letter_G] = self._letter_G[automorphism_AG]
        return renamed(problems, byte_AC[rng.integers(0, len(automorphism_AG), len(problems))])

    def canonical_form(self, prompt_NT: np.ndarray) -> np.ndarray:
        """The first in lexicographic order of the words that automorphisms make of a word."""
        return _first(self._number_C[prompt_NT[:, ::2]], self.group.automorphism_AG)


@njit(cache=True, nogil=True)
def _running(element_NL: np.ndarray, product_GG: np.ndarray) -> np.ndarray:
    """The products of the first 1, 2, … elements, uint8 [N, L]."""
    running_NL = np.empty_like(element_NL)
    for i in range(len(element_NL)):
        state = element_NL[i, 0]
        running_NL[i, 0] = state
        for place in range(1, element_NL.shape[1]):
            state = product_GG[state, element_NL[i, place]]
            running_NL[i, place] = state
    return running_NL


@njit(cache=True, nogil=True)
def _first(element_NL: np.ndarray, automorphism_AG: np.ndarray) -> np.ndarray:
    """The least image of each word, uint8 [N, L]: after every element only those automorphisms are left that lead to it, soon one."""
    first_NL = np.empty_like(element_NL)
    left_A = np.empty(len(automorphism_AG), np.int64)
    for i in range(len(element_NL)):
        left_A[:] = np.arange(len(automorphism_AG))
        left = len(left_A)
        for place in range(element_NL.shape[1]):
            element = element_NL[i, place]
            least = automorphism_AG[left_A[0], element]
            kept = 1
            for k in range(1, left):
                image = automorphism_AG[left_A[k], element]
                if image < least:
                    least, kept = image, 0
                if image == least:
                    left_A[kept] = left_A[k]
                    kept += 1
            left = kept
            first_NL[i, place] = least
    return first_NL

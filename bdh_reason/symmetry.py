"""Families: one number for all prompts that are one problem in different guises. Two ways to it, for two kinds of symmetry.

A group that is small enough to be listed (`Group`; `of_square` lists the eight symmetries of a square board) gives the number of the true class: every
guise is hashed, and the least hash is the family. Where vertices may be renamed at will, `refined` hashes what colour refinement sees of them: problems
of one class always agree, and two classes that refinement cannot tell apart become one family, so a family is merged at worst and never split.

Axes: N prompts, T positions, G symmetries, B = 256 bytes, E triples of vertices, V vertices.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit

from bdh_reason.rng import derive

NOBODY = -1  # in place of the first vertex of a triple that is not there
_ROUNDS = 6  # of refinement: more tell nothing more apart in problems of these sizes


@dataclass(frozen=True, eq=False)
class Group:
    """Symmetry g puts the byte b that stands at place_GT[g, t] to position t, as rename_GB[g, b]: int64 [G, T] and uint8 [G, 256]."""

    place_GT: np.ndarray
    rename_GB: np.ndarray

    def doubled(self, rename: bytes) -> Group:
        """These symmetries, and each of them followed by `rename`: a table of 256 bytes that undoes itself and goes with all of them in either order."""
        table_B = np.frombuffer(rename, np.uint8)
        return Group(np.tile(self.place_GT, (2, 1)), np.concatenate([self.rename_GB, table_B[self.rename_GB]]))

    def transform(self, rng: np.random.Generator, *bytes_NT: np.ndarray) -> tuple[np.ndarray, ...]:
        """Each row under a symmetry of its own, drawn uniformly and shared by all arrays [N, T]."""
        chosen_N = rng.integers(0, len(self.place_GT), len(bytes_NT[0]))
        place_NT, rename_NB = self.place_GT[chosen_N], self.rename_GB[chosen_N]
        return tuple(np.take_along_axis(rename_NB, np.take_along_axis(byte_NT, place_NT, 1).astype(np.int64), 1) for byte_NT in bytes_NT)

    def family(self, byte_NT: np.ndarray) -> np.ndarray:
        """The least hash over all guises of each row, uint64 [N]; equal for different classes only where 64 bits collide."""
        return _least(np.ascontiguousarray(byte_NT), self._place_TG, self._byte_BG)

    @cached_property
    def _place_TG(self) -> np.ndarray:
        """The key of the position that each position is moved to."""
        key_T = np.array([derive(0, "family", "place", t) for t in range(self.place_GT.shape[1])], np.uint64)
        return np.ascontiguousarray(key_T[np.argsort(self.place_GT, 1)].T)

    @cached_property
    def _byte_BG(self) -> np.ndarray:
        """The key of the byte that each byte is renamed to."""
        key_B = np.array([derive(0, "family", "byte", b) for b in range(256)], np.uint64)
        return np.ascontiguousarray(key_B[self.rename_GB].T)


def of_square(n: int) -> Group:
    """The eight symmetries of n × n positions in reading order, which rename nothing: four, then the same four of the transposed board."""
    board = np.arange(n * n).reshape(n, n)
    place_GT = np.stack([turned[::down, ::right].ravel() for turned in (board, board.T) for down in (1, -1) for right in (1, -1)])
    return Group(place_GT, np.tile(np.arange(256, dtype=np.uint8), (8, 1)))


@njit(cache=True, nogil=True)
def _least(byte_NT: np.ndarray, place_TG: np.ndarray, byte_BG: np.ndarray) -> np.ndarray:
    """A multilinear hash of each guise, all guises side by side, and the least of them mixed."""
    least_N, sum_G = np.empty(len(byte_NT), np.uint64), np.empty(place_TG.shape[1], np.uint64)
    for i in range(len(byte_NT)):
        sum_G[:] = 0
        for t in range(len(place_TG)):
            b = byte_NT[i, t]
            for g in range(len(sum_G)):
                sum_G[g] += place_TG[t, g] * byte_BG[b, g]
        least_N[i] = mix(sum_G.min())
    return least_N


def refined(triple_NE3: np.ndarray, colour_V: np.ndarray) -> np.ndarray:
    """A hash that no renaming of equally coloured vertices changes, uint64 [N], after Weisfeiler and Leman (1968).

    triple_NE3 int16: vertices that belong together, in no order; NOBODY first for a triple that is not there. colour_V uint64: what tells vertices apart.
    """
    return _refined(np.ascontiguousarray(triple_NE3), colour_V.astype(np.uint64))


@njit(cache=True, nogil=True)
def _refined(triple_NE3: np.ndarray, first_V: np.ndarray) -> np.ndarray:
    family_N, colour_V, sum_V = np.zeros(len(triple_NE3), np.uint64), np.empty_like(first_V), np.empty_like(first_V)
    for i in range(len(triple_NE3)):
        colour_V[:] = first_V + np.uint64(1)  # 0 stays 0 when it is mixed
        for _ in range(_ROUNDS):
            sum_V[:] = 0
            for e in range(triple_NE3.shape[1]):
                a, b, c = triple_NE3[i, e]
                if a != NOBODY:
                    seen = mix(colour_V[a] + colour_V[b] + colour_V[c])
                    sum_V[a] += seen
                    sum_V[b] += seen
                    sum_V[c] += seen
            for v in range(len(sum_V)):
                colour_V[v] = mix(colour_V[v] + sum_V[v])
        for v in range(len(colour_V)):
            family_N[i] += mix(colour_V[v])
    return family_N


@njit(cache=True, nogil=True)
def mix(bits: np.uint64) -> np.uint64:
    """Scrambles 64 bits, one to one: the finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))

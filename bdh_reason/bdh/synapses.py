"""Synapses that answer to one concept: searched on one half of the sentences, tested on the other half.

The search may look at every synapse as it likes, for the sentences of the test play no part in it; the test corrects for every candidate it is given.
Axes: S sentences, C candidates; a synapse's place is its index into an array of any shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

LEVEL = 0.05


@dataclass(frozen=True)
class Answer:
    """One synapse, tested: Mann–Whitney's U (one-sided: it fires more where the concept is present), rank-biserial effect 2 U / (n m) - 1, p, and
    p after Holm's correction over all candidates.
    """

    place: tuple[int, ...]
    u: float
    effect: float
    p: float
    holm: float


def halves(present_S: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Which sentences are for the search, bool [S]: half of the sentences with the concept and half of those without it, the odd one for the test."""
    search_S = np.zeros(len(present_S), bool)
    for label in (True, False):
        of_label = draw.permutation(np.flatnonzero(present_S == label))
        search_S[of_label[: len(of_label) // 2]] = True
    return search_S


def attainable(present: int, absent: int) -> float:
    """The least p that a one-sided test of so many sentences can give: where one order of all of them is the only one as good."""
    return 1 / math.comb(present + absent, present)


def search(fired: Iterable[tuple[bool, np.ndarray]], candidates: int) -> list[tuple[int, ...]]:
    """The places of the synapses with the largest Welch t between sentences with the concept and without, best first; at most `candidates`.

    `fired`: for each sentence whether it has the concept, and how strongly each synapse fired in it, arrays of one shape; at least one of each label.
    A synapse that never fired more with the concept than without it is no candidate.
    """
    counts, sums, squares = [0, 0], [np.zeros(())] * 2, [np.zeros(())] * 2
    for present, strength in fired:
        counts[present] += 1
        sums[present] = sums[present] + strength
        squares[present] = squares[present] + np.square(strength, dtype=np.float64)
    means = [total / count for total, count in zip(sums, counts)]
    noise = sum(np.maximum(square / count - mean**2, 0) / count for square, count, mean in zip(squares, counts, means))
    gain = means[True] - means[False]
    t = np.where(gain > 0, gain / (np.sqrt(noise) + 1e-9 * np.abs(gain) + np.finfo(np.float64).tiny), 0)
    best_C = np.argsort(-t, axis=None, kind="stable")[:candidates]
    return [tuple(int(axis) for axis in np.unravel_index(place, t.shape)) for place in best_C if t.flat[place] > 0]


def check(places: list[tuple[int, ...]], strength_SC: np.ndarray, present_S: np.ndarray) -> list[Answer]:
    """Each candidate on sentences that the search has not seen: how strongly it fired in each, and whether they have the concept."""
    from scipy.stats import mannwhitneyu

    pairs = int(present_S.sum()) * int((~present_S).sum())
    tests = []
    for strength_S in strength_SC.T:
        if np.ptp(strength_S):
            result = mannwhitneyu(strength_S[present_S], strength_S[~present_S], alternative="greater")
            tests.append((float(result.statistic), float(result.pvalue)))
        else:
            tests.append((pairs / 2, 1.0))  # equal everywhere, most often silent: it tells nothing
    corrected_C = holm(np.array([p for _, p in tests])).tolist()
    return [Answer(place, u, 2 * u / pairs - 1, p, corrected) for place, (u, p), corrected in zip(places, tests, corrected_C)]


def holm(p_C: np.ndarray) -> np.ndarray:
    """Holm's step-down correction of p (1979): the smallest times C, the next times C - 1 …, never below the one before and never above 1."""
    order_C = np.argsort(p_C)
    stepped_C = np.maximum.accumulate(p_C[order_C] * np.arange(len(p_C), 0, -1))
    corrected_C = np.empty(len(p_C))
    corrected_C[order_C] = np.minimum(stepped_C, 1)
    return corrected_C

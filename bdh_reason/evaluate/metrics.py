"""Scores of replies. Never a bare "accuracy": exact_match counts whole problems, cell_accuracy counts scored positions.

Axes: N problems or documents, T positions, M scored positions of all problems.
"""

from __future__ import annotations

from itertools import pairwise
from math import sqrt

import numpy as np


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval (Wilson 1927) of a proportion seen in n independent problems; n ≥ 1."""
    from scipy.stats import norm

    return _score(successes / n, n, float(norm.ppf(0.5 + confidence / 2)))


def clustered(right_N: np.ndarray, island_N: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """The same for problems that resemble each other within islands, bool [N] and int64 [N]: Wilson's interval at the effective sample size, with the t
    quantile of the islands (Dean and Pagano 2015; the effective size as in Korn and Graubard 1998).

    The variance between islands says how many independent problems the N are worth, never more than N. Where all replies are right or all wrong it says
    nothing, and every island counts as one problem. One island alone says nothing: 0 to 1.
    """
    from scipy.stats import t

    _, place_N, size_I = np.unique(island_N, return_inverse=True, return_counts=True)
    islands, n, share = len(size_I), len(right_N), float(right_N.mean())
    if islands == 1:
        return 0.0, 1.0
    surplus_I = np.bincount(place_N, right_N) - share * size_I
    variance = islands / (islands - 1) * float(surplus_I @ surplus_I) / n**2
    worth = islands if share in (0.0, 1.0) else min(n, share * (1 - share) / variance) if variance else n
    return _score(share, worth, float(t.ppf(0.5 + confidence / 2, islands - 1)))


def _score(share: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's interval of a share seen in n problems, n not necessarily whole."""
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return min(share, max(0.0, centre - reach)), max(share, min(1.0, centre + reach))


def cell_accuracy(target_NT: np.ndarray, reply_NT: np.ndarray, scored_NT: np.ndarray) -> float:
    """The share of scored positions whose byte is the target's; the clues do not count. 1 where nothing is to be filled, as exact_match and chance are."""
    right_M = (target_NT == reply_NT)[scored_NT]
    return float(right_M.mean()) if len(right_M) else 1.0


def difficulty_slices(difficulty_N: np.ndarray, edges: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Label -> bool [N] for each non-empty slice: up to the first edge, above it up to the second, …, above the last."""
    slice_N = np.searchsorted(edges, difficulty_N, side="left")
    labels = [f"≤{edges[0]:g}", *(f"{low:g}–{high:g}" for low, high in pairwise(edges)), f">{edges[-1]:g}"] if edges else ["all"]
    return {label: slice_N == place for place, label in enumerate(labels) if (slice_N == place).any()}


def by_document(bits_N: np.ndarray, bytes_N: np.ndarray) -> tuple[float, float] | tuple[None, None]:
    """The 95 % interval of bits_per_byte, all bits by all bytes, over documents: bytes of one document are no independent tries.

    That of a ratio of two sums (Cochran 1977, 6.3: its linearised variance), with the t quantile of the documents: of few of them a bootstrap would see far
    too little spread. One document alone says nothing: (None, None).
    """
    from scipy.stats import t

    n, share = len(bits_N), float(bits_N.sum() / bytes_N.sum())
    if n == 1:
        return None, None
    surplus_N = bits_N - share * bytes_N
    reach = float(t.ppf(0.975, n - 1)) * sqrt(n / (n - 1) * float(surplus_N @ surplus_N)) / float(bytes_N.sum())
    return max(0.0, share - reach), share + reach

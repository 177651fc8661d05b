"""Scores of replies. Never a bare "accuracy": exact_match counts whole problems, cell_accuracy counts scored positions.

Axes: N problems, T positions, M scored positions of all problems.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a proportion (Wilson 1927), by scipy; n ≥ 1."""
    from scipy.stats import binomtest

    interval = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def cell_accuracy(target_NT: np.ndarray, reply_NT: np.ndarray, scored_NT: np.ndarray) -> float:
    """The share of scored positions whose byte is the target's; the clues do not count. 1 where nothing is to be filled, as exact_match and chance are."""
    right_M = (target_NT == reply_NT)[scored_NT]
    return float(right_M.mean()) if len(right_M) else 1.0


def difficulty_slices(difficulty_N: np.ndarray, edges: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Label -> bool [N] for each non-empty slice: up to the first edge, above it up to the second, …, above the last."""
    slice_N = np.searchsorted(edges, difficulty_N, side="left")
    labels = [f"≤{edges[0]:g}", *(f"{low:g}–{high:g}" for low, high in pairwise(edges)), f">{edges[-1]:g}"] if edges else ["all"]
    return {label: slice_N == place for place, label in enumerate(labels) if (slice_N == place).any()}

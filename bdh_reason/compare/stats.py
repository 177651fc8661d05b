"""Intervals of scores that several runs share, and what is read off a curve of them.

Axes: R runs (seeds), H horizons from the shortest to the longest, W draws, K shares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from bdh_reason import rng

DRAWS = 4000
SHARES = 1000  # of each of several runs at each horizon; of a single one as many as draws
GOOD = 0.9


class Estimate(NamedTuple):
    """A value and its 95 % interval, which holds the value."""

    value: float
    low: float
    high: float


def resampled(exact_RH: np.ndarray, n_RH: np.ndarray, draws: int = DRAWS) -> np.ndarray:
    """The mean over runs at each horizon as it might have come out, float [W, H]: a hierarchical bootstrap, runs first and problems within each.

    Runs are drawn with replacement, for all horizons together. Of each drawn run the share of right problems is drawn from its Jeffreys posterior
    Beta(right + ½, wrong + ½), which resampling its n problems comes to, except at 0 and 1, where that would never vary: SHARES of each run are made, and
    each of the R places in a draw goes through those of all runs in an order of its own (a balanced bootstrap), which costs a quarter of fresh ones and
    wavers little more. The draws are the same in every call.

    What the drawn runs differ from the mean is widened: few runs show too little of the spread between them, by (R − 1) / R in its square, and leave it as
    unsure as Student's t with R − 1 degrees of freedom says. Without that 95 % of the draws would hold the truth in 65 % of cases with two runs and in 80 %
    with three; with it in 93 to 97 %, and in more where the problems and not the seeds make the difference (`tests/test_stats.py`).
    """
    source, runs = rng.generator(0, "resampled"), len(exact_RH)
    shares, right_HR, n_HR = SHARES if runs > 1 else draws, (exact_RH * n_RH).T, n_RH.T
    share_HRK = np.array([[source.beta(*of, size=shares) for of in zip(*its)] for its in zip(right_HR + 0.5, n_HR - right_HR + 0.5)])
    order_RW = _orders(runs, shares, draws)
    drawn_HW = share_HRK.reshape(len(n_HR), -1).take(order_RW, axis=1).mean(1)
    if runs == 1:
        return np.asarray(drawn_HW.T)
    surplus_HW = (exact_RH - exact_RH.mean(0)).T.take(order_RW // shares, axis=1).mean(1)
    return np.asarray((drawn_HW + (_widening(runs) - 1) * surplus_HW).clip(0, 1).T)


@cache
def _widening(runs: int) -> float:
    return math.sqrt(runs / (runs - 1)) * _t975(runs - 1) / 1.959964


def _t975(freedom: int) -> float:
    """What Student's t stays below in 97.5 % of cases, by halving and its finite series (Abramowitz and Stegun 26.7.3, 26.7.4): to load scipy
    would cost a table of 10,000 rows a seventh of its time.
    """
    low, high, odd = 0.0, math.pi / 2, freedom % 2
    for _ in range(60):
        angle = (low + high) / 2
        term, series = math.cos(angle) if odd else 1.0, 0.0
        for power in range(odd, freedom - 1, 2):
            series, term = series + term, term * math.cos(angle) ** 2 * (power + 1) / (power + 2)
        held = 2 / math.pi * (angle + math.sin(angle) * series) if odd else math.sin(angle) * series
        low, high = (angle, high) if held < 0.95 else (low, angle)
    return math.sqrt(freedom) * math.tan(low)


@cache
def _orders(runs: int, shares: int, draws: int) -> np.ndarray:
    """For each place in a draw which share of all runs stands there, [runs, draws]: each as often as others, of equally many runs."""
    turns = np.arange(draws) % runs * shares + np.arange(draws) // runs % shares
    return rng.generator(0, "orders").permuted(np.tile(turns, (runs, 1)), axis=1)


def estimates(value_H: np.ndarray, drawn_WH: np.ndarray) -> list[Estimate]:
    """The values, each with the middle 95 % of its draws around it; both ends are draws."""
    draws, sorted_HW = len(drawn_WH), np.sort(drawn_WH.T)
    low_H, high_H = (sorted_HW[:, -(-of_40 * draws // 40) - 1] for of_40 in (1, 39))
    return [Estimate(*ends) for ends in zip(value_H.tolist(), np.minimum(value_H, low_H).tolist(), np.maximum(value_H, high_H).tolist())]


def student(values: Sequence[float]) -> Estimate:
    """The mean of the values of several runs and its Student's t interval; of one run the value alone, as both ends."""
    from scipy.stats import t

    mean = float(np.mean(values))
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0
    return Estimate(mean, mean - half, mean + half)


def together(*parts: tuple[float, float]) -> tuple[float, float]:
    """The standard error of what varies for several reasons, each a variance and its degrees of freedom, and Satterthwaite's degrees of freedom."""
    variance = sum(part for part, _ in parts)
    return math.sqrt(variance), 1 / sum((part / variance) ** 2 / freedom for part, freedom in parts)


def longest_good(horizons_H: np.ndarray, exact_WH: np.ndarray, good: float = GOOD) -> np.ndarray:
    """H90: the longest horizon up to which every one is at least `good`, [W]; 0 where already the shortest is not."""
    upto_W = np.logical_and.accumulate(exact_WH >= good, axis=1).sum(1)
    return np.concatenate([[0], horizons_H])[upto_W]


def area(horizons_H: np.ndarray, exact_WH: np.ndarray) -> np.ndarray:
    """The area under exact_match over the logarithm of the horizon, by trapezoids, as a share of what always right would have, [W]."""
    if len(horizons_H) == 1:
        return exact_WH[:, 0]
    place_H = np.log2(horizons_H)
    return np.trapezoid(exact_WH, place_H, axis=1) / (place_H[-1] - place_H[0])

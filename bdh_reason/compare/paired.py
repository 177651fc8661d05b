"""Two models on the same problems: the gap between their scores, its interval, and how easily it would come about if they were equally good.

Axes: R runs (pairs of seeds), U units that may be taken for independent (problems, islands of problems, documents).
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np

from bdh_reason import rng
from bdh_reason.compare.stats import Estimate, together

FLIPS = 20_000


class Test(NamedTuple):
    """A gap with its 95 % interval, the p of no gap, and by which methods."""

    gap: Estimate
    p: float
    method: str


def of_problems(more: int, fewer: int, n: int) -> Test:
    """One pair of models on n independent problems, of which the first alone solved `more` and the second alone `fewer`.

    Interval of Bonett and Price (2012), which adds one problem to each of the two; McNemar's test in the exact mid-p form (Fagerland, Lydersen, Laake 2013).
    """
    from scipy.stats import norm

    return Test(_adjusted(more, fewer, n, 1.0, float(norm.ppf(0.975))), mcnemar(more, fewer), "Bonett–Price; McNemar mid-p")


def mcnemar(more: int, fewer: int) -> float:
    """The two-sided mid-p of so lopsided a split of the problems that only one of the two solved, if each were a fair coin's."""
    from scipy.stats import binom

    least, both = min(more, fewer), more + fewer
    return 1.0 if more == fewer else float(2 * binom.cdf(least, both, 0.5) - binom.pmf(least, both, 0.5))


def of_islands(gap_U: np.ndarray, size_U: np.ndarray, discordant: int) -> Test:
    """One pair on problems that grew on islands: of each the problems that the first solved more than the second, and how many there are; `discordant`
    problems were solved by one of the two only. The interval is that of `of_problems` for as many independent problems as these are worth (see
    `metrics.clustered`), with the t of the islands; in the test the signs of whole islands are flipped.
    """
    from scipy.stats import t

    n, islands, gap = int(size_U.sum()), len(size_U), float(gap_U.sum())
    share, variance = gap / n, _variance(gap_U, size_U)
    alone = discordant / n - share**2
    worth = islands if not variance else min(n, alone / variance) if alone else n
    more, fewer = (discordant + gap) / 2, (discordant - gap) / 2
    interval = _adjusted(more, fewer, n, worth / n, float(t.ppf(0.975, islands - 1))) if islands > 1 else Estimate(share, -1.0, 1.0)
    return Test(interval, flips(gap_U), f"Bonett–Price for {worth:,.0f} independent problems; sign flips of {islands:,} islands")


def of_documents(bits_U: np.ndarray, bytes_U: np.ndarray) -> Test:
    """One pair on texts: what the first read each document in more bits than the second, and their bytes. Interval as `metrics.by_document`; sign flips of
    documents. One document alone says nothing.
    """
    from scipy.stats import t

    value, units = float(bits_U.sum() / bytes_U.sum()), len(bits_U)
    reach = float(t.ppf(0.975, units - 1)) * sqrt(_variance(bits_U, bytes_U)) if units > 1 else float("inf")
    return Test(Estimate(value, value - reach, value + reach), flips(bits_U), "t over documents; sign flips of documents")


def of_seeds(gap_RU: np.ndarray, size_U: np.ndarray) -> Test:
    """Several pairs of runs on the same units: the mean gap of the seeds. Seeds and units both count as drawn: their variances are added, and Student's t
    has Satterthwaite's degrees of freedom, so that few seeds say as little as they do (a percentile bootstrap over three would cover 75 %).
    """
    from scipy.stats import t

    runs, mean_R = len(gap_RU), gap_RU.sum(1) / size_U.sum()
    gap = float(mean_R.mean())
    seeds, units = float(mean_R.var(ddof=1)) / runs, _variance(gap_RU.mean(0), size_U)
    if not seeds + units:
        return _alike(gap_RU[0], size_U, runs)
    error, freedom = together((seeds, runs - 1), (units, max(len(size_U) - 1, 1)))
    reach = float(t.ppf(0.975, freedom)) * error
    return Test(Estimate(gap, gap - reach, gap + reach), float(2 * t.sf(abs(gap) / error, freedom)), f"t over {runs} seeds and the problems")


def of_shares(gap_RU: np.ndarray, size_U: np.ndarray) -> Test:
    """`of_seeds` on problems: shares of them differ by no more than 1, however little few seeds say."""
    (gap, low, high), p, method = of_seeds(gap_RU, size_U)
    return Test(Estimate(gap, max(-1.0, low), min(1.0, high)), p, method)  # in this order a bound that is no number is left out too


def _alike(gap_U: np.ndarray, size_U: np.ndarray, runs: int) -> Test:
    """Where no seed and no unit differs from any other there is no variance to go by. Problems: each unit counts as one problem, which the first alone
    solved, or the other, or neither. Texts, whose costs are no whole numbers: nothing but the signs is known.
    """
    from scipy.stats import t

    units, share = len(gap_U), float(gap_U.sum() / size_U.sum())
    counted = units > 1 and share in (-1.0, 0.0, 1.0)
    interval = _adjusted(max(share, 0) * units, max(-share, 0) * units, units, 1.0, float(t.ppf(0.975, units - 1))) if counted else None
    return Test(interval or Estimate(share, -np.inf, np.inf), flips(gap_U), f"all {runs} seeds alike; {'Bonett–Price; ' if counted else ''}sign flips")


def flips(gap_U: np.ndarray) -> float:
    """The two-sided p of a sum as large if each unit's sign were a coin's, all ways to flip counted or 20,000 of them drawn, the one seen included."""
    units = len(gap_U := gap_U[gap_U != 0])
    if units <= 14:
        sign_WU = 1 - 2 * (np.arange(1 << units)[:, None] >> np.arange(units) & 1)
    else:
        sign_WU = 1 - 2 * rng.generator(0, "flips").integers(0, 2, (FLIPS, units), dtype=np.int8)
        sign_WU[0] = 1
    return float((np.abs(sign_WU @ gap_U) >= abs(gap_U.sum()) * (1 - 1e-9)).mean())


def holm(p_T: np.ndarray) -> np.ndarray:
    """p-values of a table made valid together (Holm 1979), in their order."""
    order = np.argsort(p_T)
    adjusted = np.empty(len(p_T))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_T[order] * np.arange(len(p_T), 0, -1)), 1)
    return adjusted


def _variance(gap_U: np.ndarray, size_U: np.ndarray) -> float:
    """Of the ratio of the sums, by what the units differ from it; 0 of a single one."""
    units, total = len(gap_U), size_U.sum()
    surplus_U = gap_U - gap_U.sum() / total * size_U
    return float(units / (units - 1) * (surplus_U @ surplus_U) / total**2) if units > 1 else 0.0


def _adjusted(more: float, fewer: float, n: int, worth: float, z: float) -> Estimate:
    """Bonett and Price's interval where each problem is worth so much of an independent one."""
    gap, whole = (more - fewer) / n, n * worth + 2
    one, other = (more * worth + 1) / whole, (fewer * worth + 1) / whole
    reach = z * sqrt((one + other - (one - other) ** 2) / whole)
    return Estimate(gap, min(gap, max(-1.0, one - other - reach)), max(gap, min(1.0, one - other + reach)))

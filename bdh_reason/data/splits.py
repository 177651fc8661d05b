"""Which split a problem belongs to. Its family alone decides, so no two splits can share one and no part of a build needs to know another.

The family's hash, mixed once more, is a point of [0, 1): train is below the first share, test above one minus the last, validation between.
A family therefore falls into the same split in every data set of equal shares, whatever the seed or the size.

Of a task whose problems grow out of each other every split is grown on its own, from roots of its own, and takes only what is of its kin. Then the kin
decides in the same way, by fixed zones instead of shares: splits of any two data sets of the task are free of each other's kin.

Axes: N problems.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bdh_reason.errors import UserError, unknown

SPLITS = ("train", "validation", "test")
SHARES = (0.9, 0.05, 0.05)
ZONES = (0.7, 0.15, 0.15)  # of all kin, where splits are grown apart: wider than what small splits need, for what falls outside is made in vain


def check_shares(shares: Sequence[float]) -> tuple[float, float, float]:
    """The shares as floats. Raises UserError unless they are three numbers from 0 to 1 that add up to 1."""
    if len(shares) != 3 or not all(0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-9:
        raise UserError(f"shares {tuple(shares)}", "three numbers from 0 to 1 (train, validation, test) that add up to 1, e.g. 0.9,0.05,0.05")
    train, validation, test = map(float, shares)
    return train, validation, test


def only(split: str) -> tuple[float, float, float]:
    """Shares that put every problem into `split`. Raises UserError for an unknown split."""
    check_split(split)
    train, validation, test = (float(split == name) for name in SPLITS)
    return train, validation, test


def check_split(split: str) -> None:
    """Raises UserError for an unknown split."""
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)


def rows_of(size: int, shares: tuple[float, float, float]) -> list[int]:
    """`size` in three whole numbers as close to the shares as can be; what is left over goes to the largest remainders."""
    exact = [size * share for share in shares]
    rows = [int(number) for number in exact]
    for k in sorted(range(3), key=lambda k: rows[k] - exact[k])[: size - sum(rows)]:
        rows[k] += 1
    return rows


def assign(family_N: np.ndarray, shares: tuple[float, float, float]) -> np.ndarray:
    """Families uint64 [N] -> positions in SPLITS, int64 [N]."""
    point_N = (_mix(family_N) >> np.uint64(11)) * 2.0**-53
    return np.searchsorted(np.cumsum(shares[:2]), point_N, side="right")


def within(split: int, kin_N: np.ndarray) -> np.ndarray:
    """Whether problems of these kin belong to the split at this position in SPLITS, where splits are grown apart, bool [N]."""
    return assign(kin_N, ZONES) == split


def _mix(family_N: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection, so that a task whose hash is weak in the high bits is split evenly too."""
    bits_N = family_N.astype(np.uint64)
    bits_N = (bits_N ^ (bits_N >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits_N = (bits_N ^ (bits_N >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits_N ^ (bits_N >> np.uint64(31))

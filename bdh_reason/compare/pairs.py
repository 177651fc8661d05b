"""Matched pairs: a BDH and another architecture that have something in common, on the same problems. From rows alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bdh_reason.compare.stats import Estimate
from bdh_reason.evaluate.rows import Row

OF = {"params": "params", "flops": "train_flops", "state": "state_floats"}  # what a row calls that which a pair has in common
NEAR = 0.05


@dataclass(frozen=True)
class Pair:
    """difference: exact_match of the BDH less that of the other, and its interval · mismatch: how much more the BDH has of what they share, as a share."""

    bdh: Row
    other: Row
    difference: Estimate
    mismatch: float


def pairs(rows: Sequence[Row]) -> list[Pair]:
    """Rows that name the same match, on the same problems, in the same mode and depth and of the same seed, whose sizes differ by at most 5 %."""
    alike: dict[tuple, list[Row]] = defaultdict(list)
    for row in rows:
        if row.match and row.arch and row.exact_match is not None and row.difficulty is None:
            alike[row.task, str(row.config), row.split, row.data_hash, row.n, row.mode, row.restarts, row.depth, row.seed, row.match].append(row)
    found = [_pair(one, other) for its in alike.values() for one in its if one.arch == "bdh" for other in its if other.arch != "bdh"]
    return [pair for pair in found if abs(pair.mismatch) <= NEAR]


def _pair(bdh: Row, other: Row) -> Pair:
    has, its = (getattr(row, OF[bdh.match or ""]) or 0 for row in (bdh, other))
    return Pair(bdh, other, difference(_estimate(bdh), _estimate(other)), has / its - 1 if its else math.inf)


def _estimate(row: Row) -> Estimate:
    return Estimate(row.exact_match, row.ci_low, row.ci_high)  # type: ignore[arg-type]  # rows of problems have all three


def difference(one: Estimate, other: Estimate) -> Estimate:
    """The difference of two shares with the interval of Newcombe (1998, method 10), which combines those of the two: right for independent samples. On
    the same problems it is too wide, as far as the two succeed on the same ones.
    """
    value = one.value - other.value
    down = math.hypot(one.value - one.low, other.high - other.value)
    up = math.hypot(one.high - one.value, other.value - other.low)
    return Estimate(value, value - down, value + up)

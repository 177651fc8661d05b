"""Matched pairs: a BDH and another architecture that have something in common, on the same problems. From rows alone."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from bdh_reason.compare.gaps import gap
from bdh_reason.compare.stats import Estimate
from bdh_reason.evaluate.rows import Found, Row

OF = {"params": "params", "flops": "train_flops", "state": "state_floats"}  # what a row calls that which a pair has in common
NEAR = 0.05
EVEN = 1.25  # how many times the FLOPs of training one of a pair may have had of the other's


@dataclass(frozen=True)
class Pair:
    """runs: of each seed the rows of the BDH and of the other · paired: whether compared problem by problem, as `gaps.compare` does over all seeds, else as
    independent samples of one seed.
    """

    runs: tuple[tuple[Row, Row], ...]
    paired: bool

    @cached_property
    def difference(self) -> Estimate:
        """exact_match of the BDH less that of the other, and its interval."""
        if not self.paired:
            return difference(_estimate(self.bdh), _estimate(self.other))
        bdh, others = ({both[side].seed: Found(both[side], both[side].model) for both in self.runs} for side in (0, 1))
        return gap(bdh, others, (self.bdh.model, self.other.model)).test.gap

    @property
    def bdh(self) -> Row:
        """That of the first seed."""
        return self.runs[0][0]

    @property
    def other(self) -> Row:
        """That of the first seed."""
        return self.runs[0][1]

    @property
    def mismatch(self) -> float:
        """How much more the BDH has of what they share, as a share."""
        return _mismatch(*self.runs[0])

    @property
    def training(self) -> float:
        """How many times the FLOPs of training the BDH had, over all seeds; infinite where rows do not tell."""
        has, its = (sum(both[side].train_flops or 0 for both in self.runs) for side in (0, 1))
        return has / its if its else math.inf

    @property
    def equality(self) -> str:
        """How nearly the two are equal, for people."""
        share = "" if self.bdh.match == "flops" else f"{self.bdh.match} {self.mismatch:+.1%}, "
        return f"{share}training FLOPs × {self.training:.2f}"


def pairs(rows: Sequence[Row]) -> list[Pair]:
    """Rows that name the same match, on the same problems, in the same mode and depth and of the same seed, whose sizes differ by at most 5 %, and neither
    of which had more than 1.25 times the other's FLOPs of training.

    All seeds of two recipes that were asked the same items are one pair where the rows tell what came of each problem; any others are pairs of their own.
    """
    return [pair for pair in _near(rows) if _even(pair)]


def uneven(rows: Sequence[Row]) -> str:
    """What `pairs` leaves out for its training alone, in one sentence; empty where there is nothing."""
    left = Counter(f"{pair.bdh.model} less {pair.other.model} (× {pair.training:.2f})" for pair in _near(rows) if not _even(pair))
    if not left:
        return ""
    about = "; ".join(left)
    return f"{left.total():,} more, equal in that but not in training, whose FLOPs differ by more than a factor of {EVEN}, are not shown: {about}."


def _even(pair: Pair) -> bool:
    return 1 / EVEN <= pair.training <= EVEN


def _near(rows: Sequence[Row]) -> list[Pair]:
    """All that are of nearly the same size."""
    alike: dict[tuple, list[Row]] = defaultdict(list)
    for row in rows:
        if row.match and row.arch and row.exact_match is not None and row.difficulty is None:
            alike[row.task, str(row.config), row.split, row.data_hash, row.n, row.mode, row.restarts, row.depth, row.match].append(row)
    found = []
    for its in alike.values():
        bdh, others = (_runs(row for row in its if (row.arch == "bdh") == ours) for ours in (True, False))
        found += [pair for one in bdh for other in others for pair in _pairs(one, other)]
    return found


def _mismatch(bdh: Row, other: Row) -> float:
    has, its = (getattr(row, OF[row.match or ""]) or 0 for row in (bdh, other))
    return has / its - 1 if its else math.inf


def _runs(rows: Iterable[Row]) -> list[dict[int | None, Row]]:
    """Rows by seed, together where they are of one recipe; if two of these have the same seed, they differ in what rows do not tell, and each stands alone."""
    of: dict[tuple, list[Row]] = defaultdict(list)
    for row in rows:
        of[row.arch, row.recipe or row.model, row.params].append(row)
    found: list[dict[int | None, Row]] = []
    for its in of.values():
        seeds = {row.seed: row for row in its}
        found += [seeds] if len(seeds) == len(its) else [{row.seed: row} for row in its]
    return found


def _pairs(one: dict[int | None, Row], other: dict[int | None, Row]) -> list[Pair]:
    found, told = list[Pair](), defaultdict[str, list[tuple[Row, Row]]](list)
    for both in ((one[seed], other[seed]) for seed in one if seed in other):
        if abs(_mismatch(*both)) > NEAR:
            continue
        bdh, its = both
        if bdh.items and bdh.items == its.items and bdh.outcomes and its.outcomes:
            told[bdh.items].append(both)
        else:
            found.append(Pair((both,), False))
    return found + [Pair(tuple(runs), True) for runs in told.values()]


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

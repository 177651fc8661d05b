"""Matched pairs: a BDH and another architecture that have something in common, on the same problems. From rows alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bdh_reason.compare.gaps import gap
from bdh_reason.compare.stats import Estimate
from bdh_reason.evaluate.rows import Found, Row

OF = {"params": "params", "flops": "train_flops", "state": "state_floats"}  # what a row calls that which a pair has in common
NEAR = 0.05


@dataclass(frozen=True)
class Pair:
    """runs: of each seed the rows of the BDH and of the other · difference: exact_match of the BDH less that of the other, and its interval · paired: whether
    problem by problem, as `gaps.compare` does over all seeds, else as of independent samples of one seed.
    """

    runs: tuple[tuple[Row, Row], ...]
    difference: Estimate
    paired: bool

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
        has, its = (getattr(row, OF[row.match or ""]) or 0 for row in self.runs[0])
        return has / its - 1 if its else math.inf


def pairs(rows: Sequence[Row]) -> list[Pair]:
    """Rows that name the same match, on the same problems, in the same mode and depth and of the same seed, whose sizes differ by at most 5 %.

    All seeds of two recipes that were asked the same items are one pair where the rows tell what came of each problem; any others are pairs of their own.
    """
    alike: dict[tuple, list[Row]] = defaultdict(list)
    for row in rows:
        if row.match and row.arch and row.exact_match is not None and row.difficulty is None:
            alike[row.task, str(row.config), row.split, row.data_hash, row.n, row.mode, row.restarts, row.depth, row.match].append(row)
    found = []
    for its in alike.values():
        bdh, others = (_runs(row for row in its if (row.arch == "bdh") == ours) for ours in (True, False))
        found += [pair for one in bdh for other in others for pair in _pairs(one, other)]
    return [pair for pair in found if abs(pair.mismatch) <= NEAR]


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
    for bdh, its in ((one[seed], other[seed]) for seed in one if seed in other):
        if bdh.items and bdh.items == its.items and bdh.outcomes and its.outcomes:
            told[bdh.items].append((bdh, its))
        else:
            found.append(Pair(((bdh, its),), difference(_estimate(bdh), _estimate(its)), False))
    for both in told.values():
        bdhs, others = ({pair[side].seed: Found(pair[side], pair[side].model) for pair in both} for side in (0, 1))
        found.append(Pair(tuple(both), gap(bdhs, others, (both[0][0].model, both[0][1].model)).test.gap, True))
    return found


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

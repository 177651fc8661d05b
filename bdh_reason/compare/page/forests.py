"""The figure of matched pairs: a BDH less another architecture, on the same problems."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from bdh_reason.compare import pairs
from bdh_reason.compare.page.chart import Forest, Point, Series, signed
from bdh_reason.compare.page.figures import LINES, PANELS, Figure, asked, called, problems
from bdh_reason.evaluate.rows import Row


def by_pair(rows: Sequence[Row]) -> Figure:
    """Differences within matched pairs, a forest for each thing that pairs share."""
    alike: dict[tuple[str, str, str], list[pairs.Pair]] = defaultdict(list)
    for pair in pairs.pairs(asked(rows)):
        bdh, other = (row.recipe or row.model if len(pair.runs) > 1 else row.model for row in (pair.bdh, pair.other))
        alike[bdh, other, pair.bdh.match or ""].append(pair)
    panels = [
        Forest(f"{bdh} less {other}, equal {match}", "← other better · difference in exact_match · BDH better →", tuple(map(_pair, its[: 2 * LINES])))
        for (bdh, other, match), its in list(alike.items())[:PANELS]
    ]
    shown = [pair for its in list(alike.values())[:PANELS] for pair in its[: 2 * LINES]]
    what = "A BDH against another architecture on the same problems, equal within 5 % in what the title says and within a quarter in the FLOPs of training."
    caption = f"{what} {_methods(shown)} {pairs.uneven(asked(rows))}".rstrip()
    return Figure("pairs", caption, tuple(panels), tuple(row for pair in shown for both in pair.runs for row in both))


def _methods(shown: Sequence[pairs.Pair]) -> str:
    """Where the intervals of these lines come from."""
    told = {
        True: "of rows that tell what came of each problem, have the 95 % interval of the paired gap as `bdh-reason compare` prints it: of one seed Bonett and "
        "Price's, of several Student's t over seeds and problems",
        False: "marked *, are of rows that do not tell what came of each problem: Newcombe's 95 % interval for two independent samples of one seed, on the "
        "same problems too wide, by as much as both models fail on the same ones",
    }
    counts = {paired: [pair.bdh.n for pair in shown if pair.paired == paired] for paired in told}
    return " ".join(f"{len(of)} of {len(shown)} lines, n {min(of):,} to {max(of):,}, {told[paired]}." for paired, of in counts.items() if of)


def _pair(pair: pairs.Pair) -> Series:
    value, low, high = pair.difference
    seeds = f", {len(pair.runs)} seeds" if len(pair.runs) > 1 else ""
    label = f"{problems(pair.bdh)}\n{pair.bdh.depth} steps, n {pair.bdh.n:,}{seeds}{'' if pair.paired else ' *'}, {pair.equality}"
    return Series(called(pair.bdh.task, pair.bdh.model), label, (Point(value, 0.0, low, high, f"{signed(value, 3)} [{signed(low, 3)}, {signed(high, 3)}]"),))

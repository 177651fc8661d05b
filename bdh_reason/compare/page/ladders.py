"""Figures of ladders: the score of each architecture over its sizes, the seeds of a rung as one point, on puzzles and on texts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from bdh_reason.compare import seeds
from bdh_reason.compare.page.chart import Panel, Point, Series
from bdh_reason.compare.stats import Estimate
from bdh_reason.compare.table import problem_name
from bdh_reason.evaluate.rows import Row

RUNGS = 3  # sizes of one architecture, on the same problems and at the same depth, that make a ladder
TOLD = "Where an architecture stands at three sizes or more a line joins them, each point the mean of its seeds, with an interval over seeds and problems."


@dataclass(frozen=True)
class Ladder:
    """rungs: of each architecture its rows, those of one size together, the smallest first."""

    rungs: dict[str, list[list[Row]]]

    @property
    def rows(self) -> list[Row]:
        """All that is drawn."""
        return [row for its in self.rungs.values() for rung in its for row in rung]


def ladders(rows: Iterable[Row]) -> list[Ladder]:
    """Whole problems and texts that an architecture was asked at RUNGS sizes or more, each of one recipe, with what stands beside it."""
    asked: dict[tuple, list[Row]] = defaultdict(list)
    for row in rows:
        if row.recipe and row.arch and row.params and row.split != "validation" and not (row.error or row.sequence or row.difficulty or row.horizon):
            asked[row.task, str(row.config), row.split, row.data_hash, row.n, row.mode, row.restarts, row.context, row.depth].append(row)
    found = []
    for its in asked.values():
        sizes: dict[str, dict[tuple[int, str], list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in its:
            sizes[row.arch or ""][row.params or 0, row.recipe or ""].append(row)
        rungs = {arch: [of[size] for size in sorted(of)] for arch, of in sorted(sizes.items()) if len({params for params, _ in of}) >= RUNGS}
        found += [Ladder(rungs)] if rungs else []
    return found


def panels(found: Sequence[Ladder], x: str, of: Callable[[Row], float | None], marks: Callable[[Sequence[float]], tuple]) -> tuple[Panel, ...]:
    """A panel for each ladder over what a row tells: `of` in the units of `x`, with `marks` of that axis."""
    return tuple(_panel(ladder, x, of, marks) for ladder in found if all(of(row) for row in ladder.rows))


def _panel(ladder: Ladder, x: str, of: Callable[[Row], float | None], marks: Callable[[Sequence[float]], tuple]) -> Panel:
    row = ladder.rows[0]
    text = row.exact_match is None
    series = tuple(Series(arch, arch, tuple(_point(rung, of(rung[0]) or 0.0) for rung in rungs)) for arch, rungs in ladder.rungs.items())
    values = sorted({point.x for one in series for point in one.points})
    ends = [end for one in series for point in one.points for end in (point.low, point.high)]
    title = problem_name(row) if row.split == "test" else f"{problem_name(row)} ({row.split})"
    dotted = ((values[0], row.floor), (values[-1], row.floor)) if row.floor is not None else ()
    up = heights([*ends, *(y for _, y in dotted)], None if text else 1.0)
    return Panel(title, x, "bits_per_byte" if text else "exact_match", series, marks(values), up, log=True, dotted=dotted)


def _point(rung: Sequence[Row], x: float) -> Point:
    (value, low, high), row = score(rung), rung[0]
    several = f", {len(rung)} seeds" if len(rung) > 1 else f", seed {row.seed}"
    return Point(x, value, low, high, f"{row.recipe}, {row.params:,} parameters: {value:.4f} [{low:.4f}, {high:.4f}], n {row.n:,}{several}")


def score(rung: Sequence[Row]) -> Estimate:
    """That of the seeds together, or of one with its own interval."""
    pooled = seeds.pooled(rung)
    if pooled:
        return pooled[0].score
    row = rung[-1]
    value = row.bits_per_byte if row.exact_match is None else row.exact_match
    return Estimate(value or 0.0, row.ci_low or 0.0, row.ci_high or 0.0)


def heights(values: Sequence[float], most: float | None) -> tuple[tuple[float, str], ...]:
    """Three to six round marks around these values, none above `most`."""
    low, high = min(values), max(values) if most is None else min(max(values), most)
    rough = max(high - low, 1e-3) / 3
    power = 10.0 ** floor(log10(rough))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough)
    first, last = floor(low / step), ceil(round(high / step, 9))
    digits = max(0, -floor(log10(step)))
    return tuple((round(mark * step, 9), f"{mark * step:.{digits}f}") for mark in range(first, last + 1))

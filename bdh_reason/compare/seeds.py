"""Runs that differ in nothing but their seed, as one score. From rows alone.

Axes: R runs (seeds).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bdh_reason.compare.stats import Estimate, estimates, resampled, student
from bdh_reason.compare.table import markdown, problem_name
from bdh_reason.evaluate.rows import Row


@dataclass(frozen=True)
class Pooled:
    """The mean `score` of the runs of one recipe on the same problems; `row` is that of the first seed, for all that they share."""

    row: Row
    seeds: tuple[int, ...]
    score: Estimate


def pooled(rows: Sequence[Row]) -> list[Pooled]:
    """All recipes of which two seeds or more answered the same whole problems, in the order of the rows; curves over a horizon are `horizon.curves`.

    Of exact_match the interval is a hierarchical bootstrap, seeds first and problems (islands of problems) within; of bits_per_byte Student's t over seeds.
    Of one seed the last row counts.
    """
    alike: dict[tuple, dict[int, Row]] = defaultdict(dict)
    for row in rows:
        if row.recipe and row.seed is not None and row.difficulty is None and row.horizon is None and not row.error and not row.sequence:
            about = (row.task, row.task_version, str(row.config), row.split, row.data_hash, row.n, row.recipe, row.arch, row.params)
            alike[*about, row.mode, row.restarts, row.context, row.depth][row.seed] = row
    return [_pooled([runs[seed] for seed in sorted(runs)]) for runs in alike.values() if len(runs) > 1]


def _pooled(runs: Sequence[Row]) -> Pooled:
    first, seeds = runs[0], tuple(row.seed or 0 for row in runs)
    if first.exact_match is None:
        return Pooled(first, seeds, student([row.bits_per_byte or 0.0 for row in runs]))
    exact_R1, n_R1 = (np.array([[value] for value in values]) for values in ([row.exact_match for row in runs], [row.islands or row.n for row in runs]))
    (score,) = estimates(exact_R1.mean(0), resampled(exact_R1, n_R1))
    return Pooled(first, seeds, score)


HEAD = ("problems", "recipe", "arch", "params", "mode", "depth", "n", "seeds", "metric", "mean [95 %]", "beside")
NOTE = """The mean over seeds. Its interval: of exact_match a hierarchical bootstrap, seeds first and problems within, as wide as Student's t for so few
seeds; of bits_per_byte Student's t over seeds. beside: what uniform guessing gets (the oracle gets 1), or the floor of a text whose source is known."""


def table(found: Sequence[Pooled]) -> str:
    """A line each in Markdown, and what the columns mean; empty without any."""
    return f"{markdown(HEAD, [cells(its) for its in found])}\n\n{NOTE}" if found else ""


def cells(its: Pooled) -> tuple[str, ...]:
    """One line of the table."""
    row, (value, low, high) = its.row, its.score
    text = row.exact_match is None
    beside = "–" if (known := row.floor if text else row.chance) is None else f"{known:.4f}" if text else f"{known:.0e}"
    count = f"{row.n:,} on {row.islands:,}" if row.islands else f"{row.n:,}"
    seeds, depth = ", ".join(map(str, its.seeds)), "–" if row.depth is None else str(row.depth)
    about = (f"{problem_name(row)} ({row.split})", str(row.recipe), str(row.arch), f"{row.params or 0:,}", row.mode, depth, count, seeds)
    return (*about, "bits_per_byte" if text else "exact_match", f"{value:.4f} [{low:.4f}, {high:.4f}]", beside)

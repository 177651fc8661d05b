"""Runs that differ in nothing but their seed, as one score. From rows alone.

Axes: R runs (seeds).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bdh_reason.compare.stats import Estimate, estimates, resampled, together
from bdh_reason.compare.table import markdown, problem_name
from bdh_reason.evaluate.rows import Row


@dataclass(frozen=True)
class Pooled:
    """The mean `score` of the runs of one recipe on the same problems; `row` is that of the first seed, for all that they share. steps: of each seed's weights,
    the best of its run on validation, so that they may differ where the recipe does not.
    """

    row: Row
    seeds: tuple[int, ...]
    steps: tuple[int | None, ...]
    score: Estimate


def pooled(rows: Sequence[Row]) -> list[Pooled]:
    """All recipes of which two seeds or more answered the same whole problems, in the order of the rows; curves over a horizon are `horizon.curves`.

    Of exact_match the interval is a hierarchical bootstrap, seeds first and problems (islands of problems) within; of bits_per_byte Student's t over seeds
    and documents, see `_of_texts`. Of one seed the last row counts.
    """
    alike: dict[tuple, dict[int, Row]] = defaultdict(dict)
    for row in rows:
        if row.recipe and row.seed is not None and row.difficulty is None and row.horizon is None and not row.error and not row.sequence:
            about = (row.task, row.task_version, str(row.config), row.split, row.data_hash, row.n, row.recipe, row.arch, row.params)
            alike[*about, row.mode, row.restarts, row.context, row.depth][row.seed] = row
    return [_pooled([runs[seed] for seed in sorted(runs)]) for runs in alike.values() if len(runs) > 1]


def _pooled(runs: Sequence[Row]) -> Pooled:
    first, seeds, steps = runs[0], tuple(row.seed or 0 for row in runs), tuple(row.step for row in runs)
    if first.exact_match is None:
        return Pooled(first, seeds, steps, _of_texts(runs))
    exact_R1, n_R1 = (np.array([[value] for value in values]) for values in ([row.exact_match for row in runs], [row.islands or row.n for row in runs]))
    (score,) = estimates(exact_R1.mean(0), resampled(exact_R1, n_R1))
    return Pooled(first, seeds, steps, score)


def _of_texts(runs: Sequence[Row]) -> Estimate:
    """The mean over seeds, with the variance between them and that over documents, which each row's interval tells. A document that is hard for one seed is
    hard for all, so more seeds make the latter no smaller. Of a single document nobody knows how others would differ: the interval is open.
    """
    from scipy.stats import t

    bits_R = np.array([row.bits_per_byte for row in runs])
    value, others = float(bits_R.mean()), runs[0].n - 1
    reaches = [row.ci_high - (row.bits_per_byte or 0.0) for row in runs if row.ci_high is not None]
    if len(reaches) < len(runs) or not others:
        return Estimate(value, -np.inf, np.inf)
    seeds, documents = float(bits_R.var(ddof=1)) / len(runs), (float(np.mean(reaches)) / float(t.ppf(0.975, others))) ** 2
    if not seeds + documents:
        return Estimate(value, value, value)
    error, freedom = together((seeds, len(runs) - 1), (documents, others))
    reach = float(t.ppf(0.975, freedom)) * error
    return Estimate(value, max(0.0, value - reach), value + reach)


HEAD = ("problems", "recipe", "arch", "params", "mode", "depth", "n", "seeds", "step", "metric", "mean [95 %]", "beside")
NOTE = """The mean over seeds. step: of the weights, which are each seed's best on validation; of every seed where they differ: then see whether the runs were
meant to be equally long. The interval of exact_match: a hierarchical bootstrap, seeds first and problems within, as wide as Student's t for so few seeds; of
bits_per_byte: Student's t with the variance over seeds and that over documents (Satterthwaite). beside: what uniform guessing gets (the oracle gets 1), or
the floor of a text whose source is known."""


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
    step = ", ".join("–" if step is None else str(step) for step in (its.steps if len(set(its.steps)) > 1 else its.steps[:1]))
    about = (f"{problem_name(row)} ({row.split})", str(row.recipe), str(row.arch), f"{row.params or 0:,}", row.mode, depth, count, seeds, step)
    return (*about, "bits_per_byte" if text else "exact_match", f"{value:.4f}" + (f" [{low:.4f}, {high:.4f}]" if np.isfinite(high) else ""), beside)

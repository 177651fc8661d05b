"""Which rows can be compared problem by problem, and a table of their gaps. From rows alone.

Axes: R runs (pairs of seeds), U units that may be taken for independent (problems, islands of problems, documents).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np

from bdh_reason.compare import paired
from bdh_reason.compare.paired import Test
from bdh_reason.compare.table import markdown, problem_name
from bdh_reason.errors import UserError
from bdh_reason.evaluate import outcomes
from bdh_reason.evaluate.rows import Found, Row

Runs = dict[int | None, Found]  # by seed
Depths = dict[int | None, Runs]
Question = dict[str | None, Depths]  # by the problems that were asked


@dataclass(frozen=True)
class Gap:
    """What one model is ahead of another: exact_match, or bits_per_byte, of which fewer are better; `scores` are means over the seeds, `alone` the problems
    that only the one or the other solved, summed over the seeds. beside: chance, or the floor of a text. p_holm: among all gaps of the table.
    """

    problems: str
    models: tuple[str, str]
    depths: tuple[int | None, int | None]
    metric: str
    scores: tuple[float, float]
    beside: float | None
    alone: tuple[int, int] | None
    n: int
    islands: int | None
    seeds: int
    test: Test
    p_holm: float = 1.0


def compare(found: Sequence[Found], first: str, others: Sequence[str]) -> list[Gap]:
    """The gaps of `first` over each of `others` wherever both answered the same problems; a name is a model's, a recipe's for all its seeds, or NAME@STEP.

    At equal depth where both thought so deep, else at the depth of each. Raises UserError for a name without rows, for models that were never asked the same,
    and, naming files and lines, for problems of different data, for two rows of one run, and for rows that do not tell what came of each problem.
    """
    asked = {name: _questions(found, name) for name in (first, *others)}
    gaps = []
    for other in others:
        common = [question for question in asked[first] if question in asked[other]]
        if not common:
            given, allowed = (", ".join(sorted({question[0] for question in asked[name]})) for name in (other, first))
            raise UserError(f"{other} answered {given}", f"what {first} answered: {allowed}", "`eval --model A --model B` asks both the same")
        for question in common:
            for one, two in _on_the_same(asked[first][question], asked[other][question]):
                gaps += [gap(*runs, (first, other)) for runs in _alike(one, two)]
    return with_holm(gaps)


def with_holm(gaps: Sequence[Gap]) -> list[Gap]:
    """The same with their p-values made valid together."""
    adjusted_T = paired.holm(np.array([its.test.p for its in gaps]))
    return [Gap(**{**vars(its), "p_holm": float(p)}) for its, p in zip(gaps, adjusted_T)]


def _questions(found: Sequence[Found], name: str) -> dict[tuple[str, ...], Question]:
    """What one model was asked."""
    whole = [its for its in found if its.row.difficulty is None and not its.row.error]
    mine = [its for its in whole if name in (its.row.model, f"{its.row.model}@{its.row.step}")] or [its for its in whole if its.row.recipe == name]
    if not mine:
        raise UserError(f"no rows of {name}", ", ".join(sorted({its.row.model for its in whole})) or "none")
    asked: dict[tuple[str, ...], Question] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for its in mine:
        row = its.row
        question = (
            f"{problem_name(row)} ({row.split})",
            json.dumps(row.config, sort_keys=True),
            row.task,
            row.split,
            row.mode,
            str((row.restarts, row.context, row.sequence)),
        )
        once(asked[question][row.items][row.depth], row.seed, its)
    return asked


def once(runs: Runs, seed: int | None, its: Found) -> None:
    """Puts a row among the runs. Raises UserError where that run is there already: another exam of it, or the same row twice; and where neither tells on
    which problems it sat, so that they cannot be told apart.
    """
    if (there := runs.setdefault(seed, its)) is not its:
        told([its])
        about = f"{its.row.model}, seed {seed}, depth {its.row.depth}"
        if its.row.step == there.row.step:
            raise UserError(f"{there.where} and {its.where} are both of {about}", "one row of each run", "leave one of the two lines out")
        steps = f"steps {there.row.step} and {its.row.step}"
        raise UserError(f"{there.where} and {its.where} are both of {about}, at {steps}", "one row of each run", "name the model NAME@STEP, or leave one out")


def _on_the_same(one: Question, two: Question) -> list[tuple[Depths, Depths]]:
    """What both were asked. Raises UserError where a depth and a seed that both have were never asked the same."""
    shared = [items for items in one if items in two]
    have, other = ({(depth, seed): its for depths in of.values() for depth, runs in depths.items() for seed, its in runs.items()} for of in (one, two))
    both = {(depth, seed) for items in shared for depth in one[items] if depth in two[items] for seed in one[items][depth] if seed in two[items][depth]}
    for run in have if shared else ():
        if run in other and run not in both:
            same([have[run], other[run]])
    if not shared:
        same([next(iter(have.values())), next(iter(other.values()))])
    return [(one[items], two[items]) for items in shared]


def _alike(one: Depths, two: Depths) -> list[tuple[Runs, Runs]]:
    """The runs to compare: at every depth in common, else each at its own."""
    depths = [depth for depth in one if depth in two]
    if not depths and len(one) == len(two) == 1:
        return [(next(iter(one.values())), next(iter(two.values())))]
    if not depths:
        row = next(iter(next(iter(two.values())).values()))
        raise UserError(f"{row.where}: depths {sorted(map(str, two))}", f"one depth of {sorted(map(str, one))}, as the other has", "evaluate both at one depth")
    return [(one[depth], two[depth]) for depth in sorted(depths, key=lambda depth: depth or 0)]


def gap(one: Runs, two: Runs, names: tuple[str, str]) -> Gap:
    """The gap of two models, seed by seed where they have seeds in common. Raises UserError as `compare` does."""
    seeds = sorted((seed for seed in one if seed in two), key=lambda seed: seed or 0)
    pairs = [(one[seed], two[seed]) for seed in seeds]
    if not pairs and len(one) == len(two) == 1:
        pairs = [(next(iter(one.values())), next(iter(two.values())))]
    if not pairs:
        a, b = next(iter(one.values())), next(iter(two.values()))
        raise UserError(f"{a.where} and {b.where}: seeds {sorted(map(str, one))} and {sorted(map(str, two))}", "seeds in common, or one of each")
    same([its for pair in pairs for its in pair])
    text, row = pairs[0][0].row.bits_per_byte is not None, pairs[0][0].row
    rows_A, rows_B = ([pair[side].row for pair in pairs] for side in (0, 1))
    scores = tuple(float(np.mean([row.bits_per_byte if text else row.exact_match for row in rows])) for rows in (rows_A, rows_B))
    test, alone = _texts(pairs) if text else _problems(pairs)
    return Gap(
        f"{problem_name(row)} ({row.split})",
        names,
        (rows_A[0].depth, rows_B[0].depth),
        "bits_per_byte" if text else "exact_match",
        (scores[0], scores[1]),
        row.floor if text else row.chance,
        alone,
        row.n,
        row.islands,
        len(pairs),
        test,
    )


def same(found: Sequence[Found]) -> None:
    """Raises UserError, naming files and lines, where rows are not of the same problems, or do not tell what came of each."""
    first = found[0]
    told(found)
    for its in found:
        if (its.row.items, its.row.data_hash) != (first.row.items, first.row.data_hash):
            given, allowed = (f"{row.n:,} problems {row.items} of data {row.data_hash[:12]}" for row in (its.row, first.row))
            raise UserError(f"{its.where}: {given}", f"{allowed}, as in {first.where}", "evaluate both on the same problems")


def told(found: Sequence[Found]) -> None:
    """Raises UserError, naming file and line, for a row that does not tell what came of each problem."""
    for its in found:
        if its.row.items is None or its.row.outcomes is None:
            raise UserError(f"{its.where} does not tell what came of each problem", "rows of schema version 7 or newer", "evaluate again")


def _problems(pairs: Sequence[tuple[Found, Found]]) -> tuple[Test, tuple[int, int]]:
    right_2RN = np.array([[_right(pair[side].row) for pair in pairs] for side in (0, 1)])
    more, fewer = (int((one_RN & ~two_RN).sum()) for one_RN, two_RN in (right_2RN, right_2RN[::-1]))
    gap_RN = right_2RN[0].astype(np.int64) - right_2RN[1]
    n, islands = gap_RN.shape[1], pairs[0][0].row.island_sizes
    size_U = np.ones(n, np.int64) if islands is None else np.array(islands)
    gap_RU = np.add.reduceat(gap_RN, np.cumsum(size_U) - size_U, axis=1)
    if len(pairs) > 1:
        return paired.of_shares(gap_RU, size_U), (more, fewer)
    return (paired.of_problems(more, fewer, n) if islands is None else paired.of_islands(gap_RU[0], size_U, more + fewer)), (more, fewer)


def _right(row: Row) -> np.ndarray:
    return outcomes.unpack(str(row.outcomes), row.n)


def _texts(pairs: Sequence[tuple[Found, Found]]) -> tuple[Test, None]:
    cost_2RU2 = np.array([[outcomes.unpack_costs(str(pair[side].row.outcomes), pair[side].row.n) for pair in pairs] for side in (0, 1)])
    gap_RU, bytes_U = cost_2RU2[0, :, :, 0] - cost_2RU2[1, :, :, 0], cost_2RU2[0, 0, :, 1]
    return (paired.of_seeds(gap_RU, bytes_U) if len(pairs) > 1 else paired.of_documents(gap_RU[0], bytes_U)), None


HEAD = ("problems", "models", "depth", "n", "seeds", "score", "first", "second", "beside", "only first", "only second", "gap [95 %]", "p", "p (Holm)", "method")
NOTE = """gap: first − second on the same n problems (documents of a text), the mean over the seeds; of exact_match more is better, of bits_per_byte less.
beside: of exact_match what uniform guessing gets (the oracle gets 1), of bits_per_byte the floor of a text whose source is known. only: solved by one of
the two alone, in all seeds together. p: that of a gap as large between equals; Holm: among all lines here."""


def table(gaps: Sequence[Gap]) -> str:
    """The gaps in Markdown, a line each, and what the columns mean."""
    return f"{markdown(HEAD, [_cells(its) for its in gaps])}\n\n{NOTE}"


def _cells(its: Gap) -> tuple[str, ...]:
    depth = "/".join("–" if depth is None else str(depth) for depth in dict.fromkeys(its.depths))
    count = f"{its.n:,} on {its.islands:,}" if its.islands else f"{its.n:,}"
    alone = ("–", "–") if its.alone is None else tuple(f"{number:,}" for number in its.alone)
    beside = "–" if its.beside is None else f"{its.beside:.4f}" if its.metric == "bits_per_byte" else f"{its.beside:.0e}"
    low, value, high = (f"{number:+.4f}" for number in (its.test.gap.low, its.test.gap.value, its.test.gap.high))
    p, p_holm = (f"{number:.2g}" if number >= 1e-4 else "< 0.0001" for number in (its.test.p, its.p_holm))
    scores = (f"{score:.4f}" for score in its.scores)
    about = (its.problems, " − ".join(its.models), depth, count, str(its.seeds), its.metric)
    return (*about, *scores, beside, *alone, f"{value} [{low}, {high}]", p, p_holm, its.test.method)


def line(its: Gap) -> dict[str, Any]:
    """The same as JSON, which has no infinity: null for an end of an interval that one document leaves open."""
    ends = {name: number if isfinite(number) else None for name, number in its.test.gap._asdict().items()}
    return {**asdict(its), "test": {**its.test._asdict(), "gap": ends}}

"""Curves: exact_match against the horizon of the problems, a line for each model, with intervals over its seeds. From rows alone.

Axes: R runs (seeds), H horizons from the shortest to the longest.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from bdh_reason.compare.stats import Estimate, area, estimates, longest_good, resampled
from bdh_reason.compare.table import board_name
from bdh_reason.evaluate.rows import Row


@dataclass(frozen=True)
class Curve:
    """One model, or the same recipe in several seeds, at the horizons that all of these were asked.

    trained: the horizons it was trained on, none where that is not known · n: problems of a horizon and seed, the fewest · exact: exact_match at each
    horizon, the mean over the seeds · h90: the longest horizon up to which it is at least 0.9, 0 where there is none · area: under the curve over log₂ of
    the horizon, 1 for a model that is always right · older: how many rows of the same models and seeds are left out because newer ones answer the same, or
    are of other weights.
    """

    task: str
    problems: str
    model: str
    params: int
    depth: int | None
    mode: str
    seeds: tuple[int | None, ...]
    trained: tuple[int, ...]
    horizons: tuple[int, ...]
    n: int
    exact: tuple[Estimate, ...]
    chance: tuple[float, ...]
    h90: Estimate
    area: Estimate
    older: int


def curves(rows: Sequence[Row]) -> list[Curve]:
    """The curves of all rows that have a horizon, by problems and model. Runs of one recipe are one curve unless two of them have the same seed: then
    they differ in something that rows do not tell, or were asked other problems of a horizon: then each model is a curve of its own. Of one model and seed
    the newest weights count, and of rows that answer the same the newest; the curve says how many others there are.
    """
    whole = [row for row in rows if row.horizon is not None and row.difficulty is None]
    option = horizon_options(whole)
    alike: dict[tuple[Any, ...], dict[tuple[str, int | None], list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in sorted(whole, key=lambda row: row.created):
        rest = {name: value for name, value in row.config.items() if name != option[row.task]}
        about = (
            f"{board_name(row.task, rest)} ({row.split})",
            row.recipe or row.model,
            row.arch,
            row.params,
            row.mode,
            row.restarts,
            row.depth,
            row.task_version,
        )
        alike[about][row.model, row.seed].append(row)
    found = []
    for (problems, name, *_), its in alike.items():
        runs = {who: {row.horizon or 0: row for row in asked if row.weights == asked[-1].weights} for who, asked in its.items()}
        hashes = [{horizon: row.data_hash for horizon, row in rows_H.items()} for rows_H in runs.values()]
        shared = set.intersection(*map(set, hashes))
        alike_asked = all(len({data[horizon] for data in hashes}) == 1 for horizon in shared)
        alone = len({seed for _, seed in runs}) < len(runs) or not shared or not alike_asked
        for line in sorted({model for model, _ in runs}) if alone else [name]:
            mine = [who for who in runs if not alone or who[0] == line]
            found.append(_curve(problems, line, [runs[who] for who in mine], sum(len(its[who]) - len(runs[who]) for who in mine)))
    return sorted(found, key=lambda curve: (curve.problems, curve.model, curve.params, curve.mode, curve.depth or 0))


def horizon_options(rows: Sequence[Row]) -> dict[str, str]:
    """For each task the option that is its horizon: the one that has its value in every row."""
    of = {task: [row for row in rows if row.task == task] for task in {row.task for row in rows}}
    return {task: next((name for name in its[0].config if all(row.config.get(name) == row.horizon for row in its)), "") for task, its in of.items()}


def _curve(problems: str, model: str, runs: Sequence[dict[int, Row]], older: int) -> Curve:
    """The curve of some runs, each a row by horizon."""
    horizons = sorted(set.intersection(*map(set, runs)))
    rows_RH = [[its[horizon] for horizon in horizons] for its in sorted(runs, key=lambda its: next(iter(its.values())).seed or 0)]
    exact_RH = np.array([[row.exact_match for row in rows_H] for rows_H in rows_RH])
    n_RH = np.array([[row.islands or row.n for row in rows_H] for rows_H in rows_RH])  # problems of one island count as one
    mean_1H, drawn_WH, horizons_H = exact_RH.mean(0, keepdims=True), resampled(exact_RH, n_RH), np.array(horizons)
    points = estimates(mean_1H[0], drawn_WH)
    (h90,), (under,) = (estimates(of(horizons_H, mean_1H), of(horizons_H, drawn_WH)[:, None]) for of in (longest_good, area))
    if len(runs) == 1:
        points = [Estimate(row.exact_match, row.ci_low, row.ci_high) for row in rows_RH[0]]  # type: ignore[arg-type]  # problems have all three
    first = rows_RH[0][0]
    return Curve(
        first.task,
        problems,
        model,
        first.params or 0,
        first.depth,
        f"{first.mode} {first.restarts}" if first.restarts else first.mode,
        tuple(rows_H[0].seed for rows_H in rows_RH),
        tuple(sorted({horizon for rows_H in rows_RH for row in rows_H for horizon in row.trained or ()})),
        tuple(horizons),
        min(row.n for rows_H in rows_RH for row in rows_H),
        tuple(points),
        tuple(float(np.mean([rows_H[place].chance for rows_H in rows_RH])) for place in range(len(horizons))),
        h90,
        under,
        older,
    )


def overview(found: Sequence[Curve]) -> str:
    """One Markdown table of all: a line for each kind of problems, a column for each model, in it H90 and the area."""
    name, panels = labels(found), _by_problems(found)
    names = sorted(set(name.values()))
    lines = [("problems", "trained on", "examined on", "n each, seeds", *names), ("---", *["--:"] * (len(names) + 3))]
    for problems, its in panels.items():
        cell = {name[curve]: f"{_cell(curve.h90, '{:.0f}')} · {_cell(curve.area, '{:.2f}')}" for curve in its}
        trained, examined = (sorted(set(chain.from_iterable(asked))) for asked in zip(*((curve.trained, curve.horizons) for curve in its)))
        count = f"{_range(sorted({curve.n for curve in its}))}, {_range(sorted({len(curve.seeds) for curve in its}))}"
        lines.append((problems, _range(trained), _range(examined), count, *(cell.get(name, "") for name in names)))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def tables(found: Sequence[Curve]) -> str:
    """A Markdown table for each kind of problems, a line a curve and a column a horizon, and what uniform guessing gets."""
    parts = ((f"### {problems}", _table(its), left_out(its)) for problems, its in _by_problems(found).items())
    return "\n\n".join(part for its in parts for part in its if part)


def left_out(found: Iterable[Curve]) -> str:
    """Which of these curves have older rows, in a sentence; empty where none has."""
    told = ", ".join(f"{curve.older} of {curve.model}" for curve in found if curve.older)
    return f"Left out because of newer ones of the same model and seed: {told} (rows)." if told else ""


def _by_problems(found: Iterable[Curve]) -> dict[str, list[Curve]]:
    of: dict[str, list[Curve]] = defaultdict(list)
    for curve in found:
        of[curve.problems].append(curve)
    return of


def _table(found: Sequence[Curve]) -> str:
    horizons = sorted({horizon for curve in found for horizon in curve.horizons})
    head = ("model", "params", "mode", "depth", "seeds", "n each", "trained on", "H90", "area", *(str(horizon) for horizon in horizons))
    lines = [head, ("---", *["--:"] * (len(head) - 1))]
    for curve in found:
        seeds = "–" if curve.seeds == (None,) else ", ".join(map(str, curve.seeds))
        exact = dict(zip(curve.horizons, curve.exact))
        cells = (_cell(exact[horizon], "{:.3f}") if horizon in exact else "" for horizon in horizons)
        about = (curve.model, f"{curve.params:,}", curve.mode, "–" if curve.depth is None else str(curve.depth), seeds, f"{curve.n:,}", _range(curve.trained))
        lines.append((*about, _cell(curve.h90, "{:.0f}"), _cell(curve.area, "{:.3f}"), *cells))
    chance = {horizon: value for curve in found for horizon, value in zip(curve.horizons, curve.chance)}
    lines.append(("*uniform guessing*", *[""] * 8, *(f"{chance[horizon]:.1g}" for horizon in horizons)))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _range(horizons: Sequence[int]) -> str:
    return "–" if not horizons else f"{horizons[0]}–{horizons[-1]}" if len(horizons) > 1 else str(horizons[0])


def _cell(estimate: Estimate, form: str) -> str:
    value, low, high = (form.format(number) for number in estimate)
    return f"{value} [{low}, {high}]"


def labels(found: Sequence[Curve]) -> dict[Curve, str]:
    """What each curve is called beside the others: its model, by one name on all tasks, and the depth where it has several curves for the same problems."""
    short = {curve: curve.model.removeprefix(f"{curve.task}-") for curve in found}
    alike = Counter((curve.problems, name) for curve, name in short.items())
    return {curve: f"{name}, depth {curve.depth}" if alike[curve.problems, name] > 1 and curve.depth else name for curve, name in short.items()}

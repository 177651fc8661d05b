"""What the rows of a ladder say: laws through its rungs or, of few, only the gaps between its pairs.

A curve is one choice along the paired axis (of architectures, say) on one choice of the other axes; its points are the runs of all sizes and seeds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bdh_reason.compare import law
from bdh_reason.compare.gaps import Gap, Runs, gap, line, once, same, with_holm
from bdh_reason.compare.law import Law
from bdh_reason.compare.table import markdown, problem_name
from bdh_reason.errors import UserError
from bdh_reason.evaluate.rows import Found, Row
from bdh_reason.suite.plan import SIZE, Cell, Plan
from bdh_reason.train.match import figure
from bdh_reason.train.recipe import Recipe
from bdh_reason.train.turns import turns

AGAINST = ("parameters", "training FLOPs", "data")


@dataclass(frozen=True)
class Curve:
    """The runs of one arm on all rungs: `loss` and what it is called, its `n` problems or documents, and a law for each of `AGAINST` that takes enough values.

    size_P: the rung of each run · x: of each run by what it is laid against · laws: None where fewer than `law.SIZES` values differ.
    """

    problems: str
    arm: str
    loss: str
    n: int
    size_P: tuple[str, ...]
    loss_P: np.ndarray
    x: dict[str, np.ndarray]
    laws: dict[str, Law | None]


@dataclass(frozen=True)
class Findings:
    """What could be said: curves where there are enough rungs, else gaps; how many cells have no result yet, and how many rows are of weights that a run has
    since trained on.
    """

    curves: list[Curve]
    gaps: list[Gap]
    rungs: int
    missing: int
    older: int


def fit(plan: Plan, found: Sequence[Found], draws: int = law.DRAWS) -> Findings:
    """Laws through the rungs, or the gaps of the pairs where fewer than `law.SIZES` rungs have rows. Of a run that was trained on the newest weights count.

    Raises UserError for a suite that is no ladder and, naming files and lines, for rows that do not belong together, of a cell twice or of different data, and
    for rows of other training than the plan's.
    """
    axes = plan.suite.axes[0]
    if SIZE not in axes:
        raise UserError(f"{plan.path} is no ladder", f"a suite with an axis named {SIZE}")
    pairing = plan.suite.match.axis if plan.suite.match else next((axis for axis in reversed(axes) if axis != SIZE), SIZE)
    newest = _newest(found)
    groups, missing = _sorted_in(plan, newest, pairing)
    rungs = len({cell.choices[SIZE] for arms in groups.values() for runs in arms.values() for cell, _ in runs})
    if not rungs:
        raise UserError(f"no result of {plan.path} in these rows", "rows of its runs", f"bdh-reason scale run {plan.name} makes them")
    if rungs < law.SIZES:
        return Findings([], _gaps(groups, pairing), rungs, missing, len(found) - len(newest))
    curves = [_curve(name, arm, runs, draws) for name, arms in groups.items() for arm, runs in arms.items()]
    return Findings(curves, [], rungs, missing, len(found) - len(newest))


def _newest(found: Sequence[Found]) -> list[Found]:
    """The rows of each run's newest weights."""
    last = {(its.row.recipe, its.row.seed): its.row.weights for its in sorted(found, key=lambda its: its.row.created) if not its.row.error}
    return [its for its in found if its.row.error or its.row.weights == last[its.row.recipe, its.row.seed]]


Arms = dict[str, list[tuple[Cell, Found]]]


def _sorted_in(plan: Plan, found: Sequence[Found], pairing: str) -> tuple[dict[str, Arms], int]:
    """By what was asked and by the choice along the paired axis the cells and their rows, in the order of the plan; and how many cells have none."""
    of: dict[tuple[str | None, int | None], list[Found]] = defaultdict(list)
    for its in found:
        if its.row.difficulty is None and not its.row.error:
            of[its.row.recipe, its.row.seed].append(its)
    groups: dict[str, Arms] = defaultdict(lambda: defaultdict(list))
    missing, params = 0, dict[str, int]()  # by arm: seeds are as large
    for cell in plan.cells:
        if SIZE not in cell.choices:
            continue
        rows = of[cell.recipe.name, cell.recipe.seed]
        missing += not rows
        asked: dict[str, Runs] = defaultdict(dict)
        if rows and cell.arm not in params:
            params[cell.arm] = round(figure(cell.recipe, "params"))
        _belong(rows, cell.recipe, params.get(cell.arm, 0))
        for its in rows:
            other = "-".join(choice for axis, choice in cell.choices.items() if axis not in (SIZE, pairing))
            question = f"{problem_name(its.row)} ({its.row.split}{', ' + other if other else ''})"
            depth = "" if its.row.depth == cell.recipe.validation.depth else f", depth {its.row.depth}"
            once(asked[question + depth], its.row.seed, its)
            groups[question + depth][cell.choices[pairing]].append((cell, its))
    for arms in groups.values():
        same([its for runs in arms.values() for _, its in runs])
    return groups, missing


def _belong(rows: Sequence[Found], recipe: Recipe, params: int) -> None:
    """Raises UserError, naming file and line, for a row of a run that is not the cell's: of another size, or at a step at which it keeps no weights. A run
    keeps its best on validation, so the step may be an earlier one than the last.
    """
    for where, row in ((its.where, its.row) for its in rows):
        if row.params is not None and row.params != params:
            raise UserError(f"{where}: {recipe.name} of {row.params:,} parameters", f"{params:,}, as in the plan", "leave the line out, or run the suite again")
        if row.step is not None and row.step != recipe.steps and (row.step > recipe.steps or row.step % recipe.validation.every):
            allowed = f"step {recipe.steps}, or one before at which it is validated, every {recipe.validation.every}"
            raise UserError(f"{where}: {recipe.name} at step {row.step}", allowed, "leave the line out, or run the suite again")


def _gaps(groups: dict[str, Arms], pairing: str) -> list[Gap]:
    """On each rung the first arm beside every other."""
    gaps = []
    for arms in groups.values():
        (first, runs), *others = arms.items()
        for size in dict.fromkeys(cell.choices[SIZE] for cell, _ in runs):
            for other, theirs in others:
                one, two = ({its.row.seed: its for cell, its in side if cell.choices[SIZE] == size} for side in (runs, theirs))
                if one and two:
                    gaps.append(gap(one, two, (f"{size} {first}", f"{size} {other}")))
    return with_holm(gaps)


def _curve(problems: str, arm: str, runs: Iterable[tuple[Cell, Found]], draws: int) -> Curve:
    cells, rows = zip(*((cell, its.row) for cell, its in runs))
    loss_P = np.array([_loss(row) for row in rows])
    data_P = [sum(one.batch * count for one, count in zip(cell.recipe.each, _steps(cell, row))) for cell, row in zip(cells, rows)]
    x = dict(zip(AGAINST, (np.array(values, np.float64) for values in ([row.params for row in rows], [row.train_flops for row in rows], data_P))))
    laws = {name: law.fit(x_P, loss_P, draws) if len(set(x_P)) >= law.SIZES else None for name, x_P in x.items()}
    metric = "error" if rows[0].bits_per_byte is None else "bits_per_byte"
    return Curve(problems, arm, metric, rows[0].n, tuple(cell.choices[SIZE] for cell in cells), loss_P, x, laws)


def _steps(cell: Cell, row: Row) -> list[int]:
    """Of each part, until the weights that were examined."""
    return [int(count) for count in turns(cell.recipe.shares, row.step or cell.recipe.steps).done_SP[-1]]


def _loss(row: Row) -> float:
    """What is to fall with size: bits_per_byte, or the share of wrong replies, which half a problem keeps from 0."""
    return float(row.bits_per_byte) if row.bits_per_byte is not None else ((1 - (row.exact_match or 0.0)) * row.n + 0.5) / (row.n + 1)


HEAD = ("problems", "arm", "loss", "against", "n", "runs", "sizes", "exponent α [95 %]", "floor E [95 %]", "A x^-α [95 %]", "at x", "residuals by size")
NOTE = f"""loss = E + A x^-α, by Huber's loss (from {law.HUBER:.0%} on by size) on its logarithm; 95 % intervals by refits to residuals drawn anew,
widened for the parameters that were fitted. error: (wrong + ½) / (n + 1) of n problems; bits_per_byte: over n documents. data: problems, or windows of a
text, that were started. residuals: what was seen over what is fitted, less one, the mean over the seeds. A law says nothing beyond its sizes."""


def table(found: Findings) -> str:
    """The laws in Markdown, a line each, and what the columns mean."""
    lines = [_cells(curve, name, its) for curve in found.curves for name, its in curve.laws.items()]
    return f"{markdown(HEAD, lines)}\n\n{NOTE}"


def _cells(curve: Curve, name: str, its: Law | None) -> tuple[str, ...]:
    values = len(set(curve.x[name]))
    about = (curve.problems, curve.arm, curve.loss, name, f"{curve.n:,}", str(len(curve.loss_P)), str(values))
    if its is None:
        return (*about, f"not fitted: {law.SIZES} values are needed", *[""] * 4)
    size_P = np.array(curve.size_P)
    residuals = ", ".join(f"{size} {np.expm1(its.residual_P[size_P == size].mean()):+.1%}" for size in dict.fromkeys(curve.size_P))
    if its.doubt:
        return (*about, f"not identified: {its.doubt}", "", "", "", residuals)
    intervals = (f"{value:.3g} [{low:.3g}, {high:.3g}]" for value, low, high in (its.exponent, its.floor, its.scale))
    return (*about, *intervals, f"{its.at:.3g}", residuals)


def lines(found: Findings) -> Iterator[dict[str, Any]]:
    """The same as JSON: a line for each law with its points, or for each gap."""
    for curve in found.curves:
        for name, its in curve.laws.items():
            law_of = its and {
                "exponent": its.exponent._asdict(),
                "floor": its.floor._asdict(),
                "scale": its.scale._asdict(),
                "at": its.at,
                "residuals": its.residual_P.tolist(),
                "doubt": its.doubt,
            }
            about = {"problems": curve.problems, "arm": curve.arm, "loss": curve.loss, "against": name, "n": curve.n, "sizes": curve.size_P}
            yield {**about, "x": curve.x[name].tolist(), "losses": curve.loss_P.tolist(), "law": law_of}
    yield from map(line, found.gaps)

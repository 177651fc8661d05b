"""Learning after training: scores by the number of solved examples in context, and of all tasks after each task of a sequence. From rows alone.

R[i, j] is the exact_match on task j after the i-th of T tasks, R[0, j] that of fresh weights. After Lopez-Paz and Ranzato (2017, "Gradient Episodic Memory
for Continual Learning", section 2):

    ACC = mean over j of R[T, j]            BWT = mean over j < T of R[T, j] − R[j, j]            FWT = mean over j > 1 of R[j − 1, j] − R[0, j]

Average forgetting is −BWT. Axes: R runs (seeds), I stages (T + 1 with the fresh one), J tasks, W draws.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bdh_reason.compare.stats import Estimate, estimates, resampled
from bdh_reason.compare.table import markdown, model_name, problem_name
from bdh_reason.evaluate.rows import Row

MODES = ("in_context", "cipher")


@dataclass(frozen=True)
class Matrix:
    """One sequence by one strategy: exact_match by stage and task, the mean over the seeds; ACC, BWT, FWT; parameters after the first and the last stage; of
    each task how many problems a seed was asked, and what uniform guessing gets.
    """

    plan: str
    strategy: str
    tasks: tuple[str, ...]
    seeds: tuple[int | None, ...]
    params: tuple[int, int]
    n: tuple[int, ...]
    chance: tuple[float, ...]
    exact: tuple[tuple[Estimate, ...], ...]
    acc: Estimate
    bwt: Estimate
    fwt: Estimate


def apart(rows: Sequence[Row]) -> tuple[list[Row], list[Row], list[Row]]:
    """(rows of sequences, rows of examples in context, all others)."""
    sequences = [row for row in rows if row.sequence]
    contexts = [row for row in rows if not row.sequence and row.mode in MODES]
    return sequences, contexts, [row for row in rows if not row.sequence and row.mode not in MODES]


def scores(exact_RIJ: np.ndarray) -> np.ndarray:
    """Matrices [..., T + 1, T] -> (ACC, BWT, FWT) [..., 3]."""
    learned_J, known_J = np.diagonal(exact_RIJ[..., 1:, :], axis1=-2, axis2=-1), exact_RIJ[..., -1, :]
    ahead_J, fresh_J = np.diagonal(exact_RIJ[..., 1:-1, 1:], axis1=-2, axis2=-1), exact_RIJ[..., 0, 1:]
    return np.stack([known_J.mean(-1), (known_J - learned_J)[..., :-1].mean(-1), (ahead_J - fresh_J).mean(-1)], -1)


def matrices(rows: Sequence[Row]) -> list[Matrix]:
    """The matrices of all rows of sequences, of those runs (seeds) that have every stage; of two rows for one cell the newer counts."""
    cells: dict[tuple, dict[tuple, Row]] = defaultdict(dict)
    for row in sorted(rows, key=lambda row: row.created):
        if row.sequence:
            about = row.sequence
            key = (about["plan"], tuple(about["tasks"]), row.seed)
            cells[key][about["strategy"], about["stage"], about["task"]] = row
    runs: dict[tuple, list[tuple[int | None, list[list[Row]]]]] = defaultdict(list)
    for (plan, tasks, seed), its in cells.items():
        for strategy in dict.fromkeys(strategy for strategy, *_ in its if strategy):
            places = [[(strategy if stage > 1 else None, stage, task) for task in tasks] for stage in range(len(tasks) + 1)]
            if all(place in its for stage in places for place in stage):
                runs[plan, tasks, strategy].append((seed, [[its[place] for place in stage] for stage in places]))
    return [_matrix(plan, tasks, strategy, its) for (plan, tasks, strategy), its in runs.items()]


def _matrix(plan: str, tasks: tuple[str, ...], strategy: str, runs: Sequence[tuple[int | None, list[list[Row]]]]) -> Matrix:
    exact_RIJ = np.array([[[row.exact_match for row in stage] for stage in its] for _, its in runs], float)
    n_RIJ = np.array([[[row.islands or row.n for row in stage] for stage in its] for _, its in runs])
    flat = (len(runs), -1)
    drawn_WIJ = resampled(exact_RIJ.reshape(flat), n_RIJ.reshape(flat)).reshape(-1, *exact_RIJ.shape[1:])
    mean_IJ = exact_RIJ.mean(0)
    exact = [estimates(mean_J, drawn_WJ) for mean_J, drawn_WJ in zip(mean_IJ, np.moveaxis(drawn_WIJ, 1, 0))]
    if len(runs) == 1:
        exact = [[Estimate(row.exact_match, row.ci_low, row.ci_high) for row in stage] for stage in runs[0][1]]  # type: ignore[arg-type]  # problems have all
    acc, bwt, fwt = estimates(scores(mean_IJ), scores(drawn_WIJ))
    fresh, last = runs[0][1][0], runs[0][1][-1]
    asked = tuple(row.n for row in fresh), tuple(row.chance or 0.0 for row in fresh)
    seeds, params = tuple(seed for seed, _ in runs), (fresh[0].params or 0, last[0].params or 0)
    return Matrix(plan, strategy, tasks, seeds, params, *asked, tuple(map(tuple, exact)), acc, bwt, fwt)


def sequences(found: Sequence[Matrix]) -> str:
    """For each plan a table of ACC, BWT and FWT by strategy, then the matrix of each strategy: a line for every stage, a column for every task."""
    of: dict[str, list[Matrix]] = defaultdict(list)
    for matrix in found:
        of[matrix.plan].append(matrix)
    return "\n\n".join(f"### {plan}\n\n{_summary(its)}\n\n" + "\n\n".join(map(_stages, its)) for plan, its in of.items())


def _summary(found: Sequence[Matrix]) -> str:
    head = ("strategy", "seeds", "n a seed", "params at first", "at last", "ACC", "BWT", "FWT")
    about = ((one.strategy, ", ".join(map(str, one.seeds)), f"{sum(one.n):,}", *(f"{size:,}" for size in one.params)) for one in found)
    return markdown(head, [(*who, _cell(one.acc), _cell(one.bwt), _cell(one.fwt)) for who, one in zip(about, found)])


def _stages(matrix: Matrix) -> str:
    names = ("fresh weights", *(f"{number}. {task}" for number, task in enumerate(matrix.tasks, 1)))
    asked = (f"{task} (n {n:,}, chance {chance:.0e})" for task, n, chance in zip(matrix.tasks, matrix.n, matrix.chance))
    return markdown((f"{matrix.strategy}, after", *asked), [(name, *map(_cell, stage)) for name, stage in zip(names, matrix.exact)])


def _cell(value: Estimate) -> str:
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


def contexts(rows: Sequence[Row]) -> str:
    """A table of exact_match, with cell_accuracy behind it, by the number of examples in context: a line for each model, kind of problems and mode."""
    lines: dict[tuple[Any, ...], dict[int, Row]] = defaultdict(dict)
    for row in sorted(rows, key=lambda row: row.created):
        if row.difficulty is None:
            about = (f"{problem_name(row)} ({row.split})", model_name(row), f"{row.params or 0:,}", row.mode, str(row.depth), str(row.seed), f"{row.n:,}")
            lines[about][row.context or 0] = row
    counts = sorted({count for its in lines.values() for count in its})
    head = ("problems", "model", "params", "mode", "depth", "seed", "n", *(f"{count} shots" for count in counts))
    return markdown(head, [(*about, *(_shot(its[count]) if count in its else "" for count in counts)) for about, its in lines.items()])


def _shot(row: Row) -> str:
    return f"{row.exact_match:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}], cells {row.cell_accuracy:.3f}"

"""Rows as a table. Reads rows and nothing else; torch is not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bdh_reason.evaluate.rows import Row

HEAD = ("problems", "model", "params", "mode", "depth", "difficulty", "n", "exact_match [95 %]", "cells", "chance", "GFLOP", "training PFLOP", "seed")
TEXTS = ("text", "model", "params", "mode", "depth", "documents", "bytes", "bits_per_byte [95 %]", "floor", "GFLOP", "training PFLOP", "seed")


def table(rows: Sequence[Row]) -> str:
    """A Markdown table, one line a row, in the order given; rows of texts have one of their own, after it."""
    texts = [row for row in rows if row.bits_per_byte is not None]
    tables = [(HEAD, [_cells(row) for row in rows if row.bits_per_byte is None]), (TEXTS, [_text_cells(row) for row in texts])]
    return "\n\n".join(markdown(head, cells) for head, cells in tables if cells or (head is HEAD and not texts))


def markdown(head: Sequence[str], lines: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; all columns but the first two are set to the right."""
    rule = tuple("---" if place < 2 else "--:" for place in range(len(head)))
    cells = ([cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines)  # a name may hold either
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *cells))


def _text_cells(row: Row) -> tuple[str, ...]:
    interval = "" if row.ci_low is None else f" [{row.ci_low:.4f}, {row.ci_high:.4f}]"
    mode = row.mode if row.context is None else f"{row.mode}, context {row.context}"
    flops, training = (f"{number / unit:.3g}" if number is not None else "–" for number, unit in ((row.flops_per_problem, 1e9), (row.train_flops, 1e15)))
    floor = "–" if row.floor is None else f"{row.floor:.4f}"
    depth, seed = ("–" if number is None else str(number) for number in (row.depth, row.seed))
    about = (f"{problem_name(row)} ({row.split})", model_name(row), f"{row.params or 0:,}", mode, depth, f"{row.n:,}", f"{row.scored_bytes:,}")
    return (*about, f"{row.bits_per_byte:.4f}{interval}", floor, flops, training, seed)


def _cells(row: Row) -> tuple[str, ...]:
    exact = f"{row.exact_match:.4f} [{row.ci_low:.4f}, {row.ci_high:.4f}]"
    flops = "–" if row.flops_per_problem is None else f"{row.flops_per_problem / 1e9:.3g}"
    chance = "0" if row.chance == 0 else f"{row.chance:.0e}"
    depth = "–" if row.depth is None else str(row.depth)
    problems = f"{problem_name(row)} ({row.split})"
    mode = f"{row.mode} {row.restarts}" if row.restarts else row.mode
    count = f"{row.n:,} on {row.islands:,}" if row.islands else f"{row.n:,}"
    about = (problems, model_name(row), f"{row.params or 0:,}", mode, depth, row.difficulty or "all", count)
    training = "–" if row.train_flops is None else f"{row.train_flops / 1e15:.3g}"
    return (*about, exact, f"{row.cell_accuracy:.4f}", chance, flops, training, "–" if row.seed is None else str(row.seed))


def model_name(row: Row) -> str:
    """The model and the optimiser steps of its weights: under one name better ones may have been released since."""
    return row.model if row.step is None else f"{row.model} @{row.step}"


def problem_name(row: Row) -> str:
    """The task, its board and what else is not as usual, e.g. `sudoku 6×6` or `sudoku 9×9, mix 16/11/12/48/12`."""
    if row.bits_per_byte is None:
        return board_name(row.task, row.config)
    options = {name: value for name, value in row.config.items() if value is not None}
    return ", ".join([str(options.pop("source", row.task)), *(f"{name} {value}" for name, value in options.items())])


def board_name(task: str, config: Mapping[str, Any]) -> str:
    """The problems of a task with these options."""
    options = {name: value for name, value in config.items() if value is not None}
    box = options.pop("box", None)
    board = [f"{task} {box[0] * box[1]}×{box[0] * box[1]}" if box else task]
    return ", ".join(board + [f"{name} {'/'.join(map(str, value)) if isinstance(value, list | tuple) else value}" for name, value in options.items()])


def first_right(rows: Sequence[Row]) -> str:
    """A Markdown table of the steps until the first right reply, where it was seen; – where that many problems never had one."""
    head = ("problems", "model", "depth", "difficulty", "n", "median step", "90 % by step", "never", "right and left it")
    lines = []
    for row in rows:
        if row.first_right:
            steps = (str(row.first_right[name]) if row.first_right[name] else "–" for name in ("median", "p90"))
            counts = (f"{row.first_right[name]:,}" for name in ("never", "left"))
            lines.append((f"{problem_name(row)} ({row.split})", model_name(row), str(row.depth), row.difficulty or "all", f"{row.n:,}", *steps, *counts))
    return markdown(head, lines)


def failures(rows: Sequence[Row]) -> list[str]:
    """A sentence for each run that failed and has no result since."""

    def run(row: Row) -> tuple:
        return row.task, row.recipe, row.model, row.seed

    results = {run(row): row.created for row in sorted(rows, key=lambda row: row.created) if not row.error}
    failed = {run(row): row for row in sorted(rows, key=lambda row: row.created) if row.error and results.get(run(row), "") < row.created}
    return [f"{row.model}, seed {row.seed}, on {problem_name(row)} failed: {row.error}" for row in failed.values()]


def latest(rows: Sequence[Row]) -> list[Row]:
    """Of rows that answer the same question the newest, ordered by problems, model, mode, depth and data; slices after their whole, as they were written."""

    def place(row: Row) -> tuple:
        return (
            row.task,
            str(row.config),
            row.split,
            row.model,
            row.recipe or "",
            row.arch or "",
            row.step or 0,
            row.seed or 0,
            row.mode,
            row.restarts or 0,
            row.depth or 0,
            row.data_hash,
            row.context or 0,
            str(row.sequence),
            row.difficulty is not None,
        )

    newest: dict[tuple, Row] = {}
    for row in sorted(rows, key=lambda row: row.created):
        newest[*place(row), row.difficulty, row.n] = row
    return sorted(newest.values(), key=place)

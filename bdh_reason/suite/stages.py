"""Running a sequence stage by stage: each is learned, or learned on, then asked every task of the sequence; what is done is not done again."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bdh_reason.data.build import Progress
from bdh_reason.evaluate.contender import checkpoint
from bdh_reason.evaluate.exam import choose, sit
from bdh_reason.evaluate.merge import enlarge, join
from bdh_reason.evaluate.rows import Row
from bdh_reason.suite.run import Places, once, record
from bdh_reason.suite.sequence import Sequence, Stage, part, recipes, stages
from bdh_reason.train.problems import dataset, splits
from bdh_reason.train.recipe import Recipe
from bdh_reason.train.run import refuse_another, train


def run(name: str, sequence: Sequence, places: Places, device: str, max_seconds: float | None, progress: Progress) -> Iterator[tuple[Stage, bool]]:
    """Learns and examines the stages in turn until all are done or `max_seconds` are over; yields each with whether it is whole.

    Training that the time cuts short goes on in the next call. Raises UserError as `stages`, `train` and `exam.choose` do.
    """
    end = None if max_seconds is None else time.monotonic() + max_seconds
    for stage in stages(name, sequence):
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            return
        folder = places.runs / stage.place
        recipe, trained = _begin(stage, places.runs)
        refuse_another(recipe, trained)
        outcome = train(recipe, splits(recipe, places.datasets, progress), trained, device, True, left)
        whole = outcome.done == recipe.steps
        if whole:
            if trained != folder and stage.before:
                join(str(trained), str(places.runs / stage.before), folder)
            _examine(name, sequence, stage, folder, places, device, progress)
        yield stage, whole
        if not whole:
            return


def _begin(stage: Stage, runs: Path) -> tuple[Recipe, Path]:
    """What is trained, with the weights it starts from, and where."""
    folder, recipe = runs / stage.place, stage.recipe
    if stage.before is None or stage.strategy is None or (stage.strategy == "merge" and recipe.steps):
        return recipe, folder.with_name(f"{folder.name}-own") if stage.strategy else folder
    start = runs / stage.before
    if recipe.frozen:
        start = folder.with_name(f"{folder.name}-grown")
        enlarge(str(runs / stage.before), recipe.model_options().n, recipe.seed, start)
    return recipe.model_copy(update={"start": str(start)}), folder


def _examine(name: str, sequence: Sequence, stage: Stage, folder: Path, places: Places, device: str, progress: Progress) -> None:
    """Adds the rows of all tasks, once for these weights."""
    tasks = list(sequence.tasks)
    about = {"plan": name, "tasks": tasks, "stage": stage.number, "strategy": stage.strategy}

    def ask() -> list[str]:
        rows: list[Row] = []
        for one in recipes(name, sequence, stage.recipe.seed):
            contender = checkpoint(str(folder)).before(part(one, 1.0))
            data, _ = dataset(one, places.datasets, progress)
            exam = choose(one.task.name, {}, contender, places.datasets, progress, data, sequence.split, None, sequence.limit)
            marked = sit(exam, {contender.name: contender}, None, device, places.datasets, progress, "in_place", None)
            rows += [replace(row, sequence={**about, "task": tasks[len(rows)]}) for row in marked if row.difficulty is None]
        scores = ", ".join(f"{task} {row.exact_match:.4f}" for task, row in zip(tasks, rows))
        print(f"{stage.place}: exact_match {scores}", file=sys.stderr, flush=True)
        return [row.line() for row in rows]

    once(record(folder, f"{checkpoint(str(folder)).sha256} {about} {sequence.split} {sequence.limit}"), places.rows, ask)

"""Running a suite cell by cell: each is trained, or trained on, then examined; what is done is not done again."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bdh_reason.data.build import Progress
from bdh_reason.evaluate.contender import checkpoint
from bdh_reason.evaluate.exam import examine
from bdh_reason.evaluate.rows import Row, append
from bdh_reason.files import replace
from bdh_reason.suite.plan import Asked, Cell, Suite, cells
from bdh_reason.train.problems import splits
from bdh_reason.train.run import train


@dataclass(frozen=True)
class Places:
    """Where runs and data sets lie, and the file that rows are added to."""

    runs: Path
    datasets: Path
    rows: Path


def run(suite: Suite, places: Places, device: str, max_seconds: float | None, progress: Progress) -> Iterator[tuple[Cell, bool]]:
    """Trains and examines the cells in turn until all are done or `max_seconds` are over; yields each with whether it is whole.

    Training that the time cuts short goes on in the next call. Raises UserError as `train` and `examine` do.
    """
    end = None if max_seconds is None else time.monotonic() + max_seconds
    for cell in cells(suite):
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            return
        folder = places.runs / cell.place
        outcome = train(cell.recipe, splits(cell.recipe, places.datasets, progress), folder, device, True, left)
        whole = outcome.done == cell.recipe.steps
        if whole:
            for asked in suite.exams:
                _examine(cell, asked, folder, places, device, progress)
        yield cell, whole


def _examine(cell: Cell, asked: Asked, folder: Path, places: Places, device: str, progress: Progress) -> None:
    """Adds the rows of one exam, once for these weights."""
    data = None if asked.data is None else places.datasets / asked.data

    def sit() -> list[Row]:
        task, root = cell.recipe.task.name, places.datasets
        return examine(task, {}, (str(folder),), asked.depth, device, root, progress, folder=data, split=asked.split, limit=asked.limit)

    if rows := once(folder, asked.model_dump_json(), places.rows, sit):
        best = max((row for row in rows if row.difficulty is None), key=lambda row: row.exact_match or -(row.bits_per_byte or 0.0))
        print(f"{cell.place}: {best.score}", file=sys.stderr, flush=True)


def once(folder: Path, asked: str, file: Path, sit: Callable[[], list[Row]]) -> list[Row]:
    """Adds the rows of what is asked of the model in `folder` to the file, once for its weights; returns them, or none where they are there already."""
    about = f"{checkpoint(str(folder)).sha256} {asked}"
    mark = folder / f"examined-{hashlib.sha256(about.encode()).hexdigest()[:12]}.json"
    if mark.exists():
        return []
    rows = sit()
    append(file, rows)
    replace(mark, json.dumps([row.created for row in rows]).encode())
    return rows

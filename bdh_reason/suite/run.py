"""Running a suite cell by cell: each is trained, or trained on, then examined; what is done is not done again."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bdh_reason import discover
from bdh_reason.compare import probe as probe_rows
from bdh_reason.data.build import Progress
from bdh_reason.evaluate.contender import checkpoint
from bdh_reason.evaluate.exam import examine
from bdh_reason.evaluate.merge import merge
from bdh_reason.evaluate.probe import probe
from bdh_reason.evaluate.rows import Row, append
from bdh_reason.evaluate.samples import boards
from bdh_reason.files import replace
from bdh_reason.suite.plan import Asked, Cell, Look, Suite, cells
from bdh_reason.train.problems import splits
from bdh_reason.train.run import train
from bdh_reason.train.tracking import Tracking


@dataclass(frozen=True)
class Places:
    """Where runs and data sets lie, the files that rows and those of probes are added to, and what lies beside the suite."""

    runs: Path
    datasets: Path
    rows: Path
    probes: Path
    beside: Path


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
        whole = _made(cell, folder, places, device, left, progress)
        for asked in suite.asked(cell.arm) if whole else ():
            _ask(cell, asked, places, device, progress)
        yield cell, whole


def _made(cell: Cell, folder: Path, places: Places, device: str, left: float | None, progress: Progress) -> bool:
    """Joins or trains the model of a cell; whether it is whole."""
    beside = folder.parent
    if cell.joins:
        first, second = cell.joins
        merge(str(beside / first), str(beside / second), folder)
        return True
    recipe = cell.recipe
    if recipe.start and (beside / recipe.start).is_dir():
        recipe = recipe.model_copy(update={"start": str(beside / recipe.start)})
    log = Tracking(places.runs.name, draw=boards)
    return train(recipe, splits(recipe, places.datasets, progress), folder, device, True, left, log).done == recipe.steps


def _ask(cell: Cell, asked: Asked | Look, places: Places, device: str, progress: Progress) -> None:
    """Adds the rows of one exam or probe, once for these weights."""
    folder = places.runs / cell.place
    about = asked.model_dump_json(exclude_defaults=True)
    if isinstance(asked, Look):
        concept = None if asked.concept is None else places.beside / asked.concept
        once(folder, about, lambda: probe_rows.append(places.probes, probe(str(folder), None, asked.task, {}, concept, None, asked.limit, 0, device, progress)))
        return
    once(folder, about, lambda: append(places.rows, _examine(cell, asked, folder, places, device, progress)))


def _examine(cell: Cell, asked: Asked, folder: Path, places: Places, device: str, progress: Progress) -> list[Row]:
    """The rows of one exam."""
    data = None if asked.data is None else places.datasets / asked.data
    rows: list[Row] = []
    own = {discover.resolve(one.task.name)[0]: one.task.name for one in cell.recipe.each}
    for task in [asked.task] if asked.task else own.values():
        found = examine(task, {}, (str(folder),), asked.depth, device, places.datasets, progress, folder=data, split=asked.split, limit=asked.limit)
        best = max((row for row in found if row.difficulty is None), key=lambda row: row.exact_match or -(row.bits_per_byte or 0.0))
        print(f"{cell.place}: {best.score}", file=sys.stderr, flush=True)
        rows += found
    return rows


def once(folder: Path, asked: str, sit: Callable[[], None]) -> None:
    """Calls what asks the model in `folder` something and writes down what came of it, once for its weights."""
    about = f"{checkpoint(str(folder)).sha256} {asked}"
    mark = folder / f"examined-{hashlib.sha256(about.encode()).hexdigest()[:12]}.json"
    if not mark.exists():
        sit()
        replace(mark, json.dumps(asked).encode())

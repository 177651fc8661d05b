"""Running a suite cell by cell: each is trained, or trained on, then examined; what is done is not done again.

A cell's folder keeps the rows of each exam and probe in a record, written whole or not at all before they are added to the file of rows. After a kill at any
point the same call finds what is missing: a state to train on from, an exam without a record, a record whose rows were not added.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from bdh_reason import discover, tracking
from bdh_reason.data.build import Progress
from bdh_reason.errors import BusyError, InterruptedRunError, UnwritableError
from bdh_reason.evaluate.evaluate import commit, device_name, versions
from bdh_reason.evaluate.exam import examine
from bdh_reason.evaluate.merge import merge
from bdh_reason.evaluate.probe import probe
from bdh_reason.evaluate.rows import Row, add, read
from bdh_reason.evaluate.samples import boards
from bdh_reason.files import alone, replace, writable
from bdh_reason.suite.attempts import counted
from bdh_reason.suite.plan import Asked, Cell, Look, Plan, find_data
from bdh_reason.train.plan import cost
from bdh_reason.train.problems import splits
from bdh_reason.train.run import refuse_another, train
from bdh_reason.train.tracking import Tracking

Status = Literal["done", "stopped", "failed", "busy", "waits"]


@dataclass(frozen=True)
class Places:
    """Where runs and data sets lie, and the files that rows and those of probes are added to."""

    runs: Path
    datasets: Path
    rows: Path
    probes: Path


@dataclass(frozen=True)
class Work:
    """A plan, where it is done, on what, who is shown how building data goes, and whether a key of W&B is a must."""

    plan: Plan
    places: Places
    device: str
    progress: Progress
    online: bool

    def folder(self, cell: Cell) -> Path:
        """Of a cell's run."""
        return self.places.runs / cell.place


def run(plan: Plan, places: Places, device: str, max_seconds: float | None, progress: Progress, online: bool = False) -> Iterator[tuple[Cell, Status]]:
    """Trains and examines the cells in turn until all are done or `max_seconds` are over; yields each with how it ended.

    done: its rows are there. stopped: by the time, it goes on in the next call. failed: a row says why, the next call tries again, but for what was killed
    again and again (`attempts.counted`). busy: another process is at it, so the same command in several processes, each with a device of its own, shares the
    cells. waits: for an arm that is not done. Raises InterruptedRunError when it is told to stop, UnwritableError for what the disk refuses, and, before
    anything is done, UserError as `tracking.mode` and `find_data` do.
    """
    tracking.mode(online)
    find_data(plan, places.datasets)
    for path in (places.rows, *((places.probes,) if plan.suite.probes else ())):
        writable(path)
    work, ended = Work(plan, places, device, progress, online), dict[Path, Status]()
    end = None if max_seconds is None else time.monotonic() + max_seconds
    for cell in plan.cells:
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            return
        before = [cell.place.with_name(arm) for arm in (*cell.joins, cell.recipe.start) if arm]
        if any(ended.get(place, "done") != "done" for place in before):
            ended[cell.place] = "waits"
        else:
            ended[cell.place] = _tried(cell, work, left)
        yield cell, ended[cell.place]


def _tried(cell: Cell, work: Work, left: float | None) -> Status:
    """One cell; what goes wrong in it is a row, and the others go on."""
    failed, mark = (work.folder(cell).with_name(f"{cell.arm}-{name}") for name in ("failed.jsonl", "begun.json"))
    try:
        with alone(work.places.runs / "holds" / cell.place, wait=False), counted(mark, _kept(cell, work)):
            status = _done(cell, work, left)
    except (InterruptedRunError, UnwritableError):
        raise
    except BusyError:
        return "busy"
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        print(f"{cell.place} failed: {said}", file=sys.stderr, flush=True)
        failed.parent.mkdir(parents=True, exist_ok=True)
        if not failed.exists() or [row.error for row in read([failed])] != [said]:
            replace(failed, (_failure(cell, work, said).line() + "\n").encode())
        _add(failed, work.places.rows)
        return "failed"
    failed.unlink(missing_ok=True)
    return status


def _kept(cell: Cell, work: Work) -> list[str]:
    """What a killed attempt may have left behind: the state of the training, records, and data, for this cell or another."""
    folder, data = work.folder(cell), work.places.datasets
    state = folder / "state.json"
    files = [*folder.glob("rows-*.jsonl"), *data.glob("**/*.chunk"), *data.glob("**/manifest.json")]
    return [cell.recipe.model_dump_json(), state.read_text(encoding="utf-8") if state.exists() else "", *sorted(map(str, files))]


def _done(cell: Cell, work: Work, left: float | None) -> Status:
    records = {asked: _record(cell, asked, work) for asked in work.plan.suite.asked(cell.arm)}
    if not all(record.exists() for record in records.values()) and not _made(cell, work, left):
        return "stopped"
    for asked, record in records.items():
        if isinstance(asked, Asked):
            once(record, work.places.rows, partial(_examined, cell, asked, work))
        else:
            once(record, work.places.probes, partial(_probed, cell, asked, work))
    return "done"


def _record(cell: Cell, asked: Asked | Look, work: Work) -> Path:
    """One exam or probe of one run: another recipe, or an exam that the suite was given later, has a record of its own."""
    about = f"{cell.joins} {cell.recipe.model_dump_json()} {asked.model_dump_json(exclude_defaults=True)}"
    return record(work.folder(cell), about)


def _made(cell: Cell, work: Work, left: float | None) -> bool:
    """Joins or trains the model of a cell; whether it is whole."""
    folder = work.folder(cell)
    beside = folder.parent
    if cell.joins:
        first, second = cell.joins
        merge(str(beside / first), str(beside / second), folder)
        return True
    recipe = cell.recipe
    if recipe.start and (beside / recipe.start).is_dir():
        recipe = recipe.model_copy(update={"start": str(beside / recipe.start)})
    refuse_another(recipe, folder)
    log = Tracking(work.places.runs.name, online=work.online, draw=boards)
    return train(recipe, splits(recipe, work.places.datasets, work.progress), folder, work.device, True, left, log).done == recipe.steps


def _examined(cell: Cell, asked: Asked, work: Work) -> list[str]:
    """The rows of one exam as lines."""
    root, folder, rows = work.places.datasets, work.folder(cell), list[Row]()
    data = None if asked.data is None else root / asked.data
    own = {discover.resolve(one.task.name)[0]: one.task.name for one in cell.recipe.each}
    for task in [asked.task] if asked.task else own.values():
        found = examine(task, {}, (str(folder),), asked.depth, work.device, root, work.progress, folder=data, split=asked.split, limit=asked.limit)
        best = max((row for row in found if row.difficulty is None), key=lambda row: row.exact_match or -(row.bits_per_byte or 0.0))
        print(f"{cell.place}: {best.score}", file=sys.stderr, flush=True)
        rows += found
    return [row.line() for row in rows]


def _probed(cell: Cell, asked: Look, work: Work) -> list[str]:
    """The rows of one probe as lines."""
    concept = None if asked.concept is None else work.plan.path.parent / asked.concept
    seen = probe(str(work.folder(cell)), None, asked.task, {}, concept, None, asked.limit, 0, work.device, work.progress)
    return [json.dumps(row, ensure_ascii=False) for row in seen]


def record(folder: Path, about: str) -> Path:
    """The file in a run's folder that keeps the lines of one exam."""
    return folder / f"rows-{hashlib.sha256(about.encode()).hexdigest()[:12]}.jsonl"


def once(record: Path, path: Path, sit: Callable[[], list[str]]) -> None:
    """Has an exam sat unless its record is there, and its lines in a file unless they are."""
    if not record.exists():
        replace(record, "".join(line + "\n" for line in sit()).encode())
    _add(record, path)


def _add(record: Path, path: Path) -> None:
    """Adds those rows of a record that the file has not."""
    known = set(path.read_bytes().split(b"\n")) if path.exists() else set()  # bytes: a file that was cut off may end inside a letter
    if missing := [line.decode() for line in record.read_bytes().split(b"\n") if line and line not in known]:
        add(path, missing)


def _failure(cell: Cell, work: Work, said: str) -> Row:
    """The row of a cell that has no result; it has the fields of one that is known before a run."""
    recipe, subject = cell.recipe, cell.recipe.subject()
    known: dict[str, Any] = dict.fromkeys(name for name, field in Row.__dataclass_fields__.items() if str(field.type).endswith("| None"))
    known |= {"recipe": recipe.name, "arch": recipe.model.name, "seed": recipe.seed, "params": cost(recipe).params, "match": recipe.match or None}
    known["error"] = said
    return Row(
        **known,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=subject.name,
        task_version=subject.version,
        config=dict(recipe.task.options),
        split=work.plan.suite.exams[0].split,
        model=cell.arm,
        mode="failed",
        n=0,
        device=device_name(work.device),
        dtype="fp32",
        versions=versions(),
        commit=commit(),
        data_hash="",
    )

"""A data set from a task's generator, or from a file of problems.

The work is cut into chunks. Chunk i is a pure function of (seed, i), so the set is the same for any number of workers, and a build that was
interrupted goes on with the chunks that are missing. Where a task grows its splits apart, each chunk is an island: it serves one split, from roots of
its own, and is a pure function of (seed, split, its number in the split, its rows).
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bdh_reason import discover
from bdh_reason.config import content
from bdh_reason.data.assemble import assemble, load, prepare, save
from bdh_reason.data.manifest import BUILDING, Manifest, Plan
from bdh_reason.data.splits import SHARES, SPLITS, check_shares, rows_of, within
from bdh_reason.errors import RunError, UserError
from bdh_reason.files import alone, writing
from bdh_reason.rng import generator
from bdh_reason.task import Problems, Task

CHUNK = 1024  # problems a chunk: what an interruption can cost each worker; three minutes of the rarest puzzles
ISLAND = 2048  # the same for islands of train: some three seconds, most of which it takes to find good roots
EXAM_ISLAND = 32  # of validation and test: problems of an island resemble each other, so an interval needs many islands
Progress = Callable[[int, int], None]


def quiet(done: int, total: int) -> None:
    """Progress that nobody watches."""


def build(
    task: str,
    options: Mapping[str, Any],
    folder: Path,
    size: int,
    seed: int = 0,
    shares: Sequence[float] = SHARES,
    workers: int = 1,
    progress: Progress = quiet,
) -> Manifest:
    """Generates `size` problems into `folder`, split by family; calls `progress(done, size)` as it goes. A set that is there already is kept.

    A build of the same folder by another process is waited for. Raises UserError for an unknown task or option, for sizes and shares that make no sense,
    for a folder that holds something else, for a full disk or an unwritable folder, and for what the generator refuses, RunError where it is interrupted.
    """
    for name, number in (("size", size), ("workers", workers)):
        if number < 1:
            raise UserError(f"{name} {number}", "1 or more")
    plan = plan_of(task, options, size, shares, seed)
    with _interruptible(folder), alone(folder, wait=True):
        with writing(folder):
            manifest = prepare(folder, plan)
        if manifest is None:
            _generate_missing(plan, folder / BUILDING, workers, progress)
            with writing(folder):
                manifest = assemble(folder, plan, lambda: _chunks(plan, folder / BUILDING))
    progress(size, size)
    return manifest


@contextmanager
def _interruptible(folder: Path) -> Iterator[None]:
    """Ctrl-C loses nothing that is finished, and says so."""
    try:
        yield
    except KeyboardInterrupt:
        raise RunError(f"interrupted: what is built so far is kept in {folder}, the same command goes on") from None


def import_file(task: str, options: Mapping[str, Any], file: Path, folder: Path, shares: Sequence[float] = SHARES) -> Manifest:
    """Makes a data set of a file in a format the task reads; `splits.only("test")` as shares puts all of it into one split.

    Raises UserError for a file that cannot be read (the task names the line), and for the rest as `build` does.
    """
    unread = plan_of(task, options, 0, shares, 0)
    problems = read_file(unread.build_task(), file)
    plan = replace(unread, size=len(problems), source=f"{file.name} sha256:{hashlib.sha256(_bytes(file)).hexdigest()}")
    with alone(folder, wait=True), writing(folder):
        return prepare(folder, plan) or assemble(folder, plan, lambda: (problems.take(slice(i, i + CHUNK)) for i in range(0, plan.size, CHUNK)))


def read_file(task: Task, file: Path) -> Problems:
    """The problems of a text file. Raises UserError for a missing or empty file, for one that is no text, and for what the task refuses."""
    try:
        text = _bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is no text: byte {error.start} is not UTF-8", "a text file of problems") from error
    problems = task.read(text, str(file))
    if not len(problems):
        raise UserError(f"{file} holds no problems", "at least one")
    return problems


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}", "a file of problems") from error


def plan_of(task: str, options: Mapping[str, Any], size: int, shares: Sequence[float], seed: int) -> Plan:
    """What a build of these would be. Raises UserError for an unknown task or option and for shares that make no sense."""
    built = discover.build_task(task, options)
    chunk, exam = (ISLAND, EXAM_ISLAND) if built.apart else (CHUNK, 0)
    return Plan(discover.resolve(task)[0], built.version, content(built.config), size, seed, check_shares(shares), chunk, exam_chunk=exam)


def _layout(plan: Plan) -> list[tuple[str, int, int]]:
    """The chunks of a build in order: (split, place in the split, rows). The split is "" where the splits are not grown apart."""
    sizes = dict(zip(SPLITS, rows_of(plan.size, plan.shares))) if plan.build_task().apart else {"": plan.size}
    sized = [(split, plan.chunk_of(split), size) for split, size in sizes.items()]
    return [(split, start // chunk, min(chunk, size - start)) for split, chunk, size in sized for start in range(0, size, chunk)]


def _path(work: Path, index: int) -> Path:
    return work / f"{index:05d}.chunk"


def _chunks(plan: Plan, work: Path) -> Iterator[Problems]:
    for number in range(len(_layout(plan))):
        problems = load(_path(work, number))
        if problems is None:
            raise UserError(f"{_path(work, number)} was damaged during the build", remedy="run the same build again: it continues")
        yield problems


def _generate_missing(plan: Plan, work: Path, workers: int, progress: Progress) -> None:
    """Generates the chunks that are not there, or not whole."""
    rows = [rows for _, _, rows in _layout(plan)]
    missing = [number for number in range(len(rows)) if load(_path(work, number)) is None]
    done = plan.size - sum(rows[number] for number in missing)
    progress(done, plan.size)
    for number in _in_processes(plan, work, missing, workers) if workers > 1 and len(missing) > 1 else _here(plan, work, missing):
        done += rows[number]
        progress(done, plan.size)


def _here(plan: Plan, work: Path, missing: list[int]) -> Iterator[int]:
    for index in missing:
        try:
            yield _generate(plan, work, index)
        except SystemError as error:  # what compiled code makes of Ctrl-C
            raise KeyboardInterrupt from error


def _in_processes(plan: Plan, work: Path, missing: list[int], workers: int) -> Iterator[int]:
    """Yields the chunks as they finish. Fresh (spawned) processes: a fork would copy the threads of numba and torch in an unknown state."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(missing)), context, initializer=_obey_parent) as pool:
        try:
            for future in as_completed([pool.submit(_generate, plan, work, index) for index in missing]):
                yield future.result()
            return
        except BrokenProcessPool:
            pass
        finally:
            pool.shutdown(cancel_futures=True)
    time.sleep(0.5)  # Ctrl-C may kill a worker before it reaches this process: then it is raised here, and no worker is blamed
    raise UserError("a worker died, often for want of memory", remedy="run the same build again with fewer workers: it continues")


def _obey_parent() -> None:
    """A worker ends at once, and without a traceback, when the user interrupts or when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _generate(plan: Plan, work: Path, number: int) -> int:
    """Makes and saves chunk `number`, and returns it: all that passes between processes is a number."""
    task, (split, index, rows) = plan.build_task(), _layout(plan)[number]
    rng = generator(plan.seed, "generate", split, index)
    problems = task.grow(rng, rows, partial(within, SPLITS.index(split))) if split else task.generate(rng, rows)
    if len(problems) != rows:
        raise ValueError(f"task {plan.task} generated {len(problems)} problems where {rows} were asked for")
    with writing(work):
        save(_path(work, number), problems)
    return number

"""From what the user asks for to exams, contenders and rows: which problems, whose test split or which horizons, and that nobody has seen them."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from bdh_reason import discover, rng
from bdh_reason.data.build import Progress, build, plan_of, read_file
from bdh_reason.data.manifest import read as read_manifest
from bdh_reason.data.read import calls, exported_calls, independent, open_split
from bdh_reason.data.splits import SPLITS, check_split, only
from bdh_reason.errors import UserError
from bdh_reason.evaluate import language
from bdh_reason.evaluate.contender import Contender, checkpoint
from bdh_reason.evaluate.evaluate import MODES, Exam, mark, sit_guess, sit_model
from bdh_reason.evaluate.rows import Row
from bdh_reason.evaluate.seen import exclude_seen, refuse_seen
from bdh_reason.evaluate.witness import Witness
from bdh_reason.task import Problems, Task
from bdh_reason.train.checkpoint import RELEASED
from bdh_reason.train.problems import dataset, place

TEST = "test.txt"
LADDER = 1000  # problems at each horizon, where no other number is asked for
SEED = rng.derive(0, "exam") >> 33  # of the problems that are made for an exam: no run's data come from it


def default_model(task: str) -> str:
    """The released checkpoint that answers when the user names none: TASK-extreme-bdh where it is there, else TASK. Raises UserError where neither is."""
    discover.task_module(task)
    for released in (RELEASED / f"{task}-extreme-bdh", RELEASED / task):
        if (released / "model.json").is_file():
            return str(released)
    raise UserError(f"no --model given, and no released model for task {task!r} here", "--model with a run's folder", "`bdh-reason train` makes one")


def examine(
    task: str,
    options: Mapping[str, Any],
    models: tuple[str, ...],
    depths: tuple[int, ...] | None,
    device: str,
    root: Path,
    progress: Progress,
    folder: Path | None = None,
    split: str = "test",
    puzzles: Path | None = None,
    mode: str = "in_place",
    restarts: int | None = None,
    limit: int | None = None,
    horizons: tuple[int, ...] | None = None,
    text: Path | None = None,
) -> list[Row]:
    """Rows of every contender on the same problems: a split of a data set, a file of puzzles, fresh problems at each of some horizons, or what the first
    model's recipe says: its horizons, or else the data of each of its parts.

    Without `depths` each model thinks as deeply as it was validated. Of a split every family counts once, so that its problems are independent; so it does
    at a horizon, where the families that a contender was trained on are left out for all.
    Raises UserError for unknown names, for boards that do not fit the weights, for a horizon out of range, and for other problems whose family a contender
    was trained on. A text is scored by `language.examine`, all of `text` where it is given.
    """
    if discover.is_text(task):
        if folder or puzzles or restarts or horizons or mode != MODES[0]:
            raise UserError("--data, --puzzles, --horizon, --mode or --restarts with a text", "--text, --split, --depth and --limit")
        return language.examine(task, options, models or (default_model(task),), depths, device, progress, split, text, limit)
    if text:
        raise UserError(f"--text with {task}, which is no text", "--task text")
    names = models or (default_model(task),)
    contenders = {name: None if name in discover.guesses() else checkpoint(name) for name in names}
    trained = [contender for contender in contenders.values() if contender]
    rows: list[Row] = []
    for exam in exams(task, options, trained[0] if trained else None, root, progress, folder, split, puzzles, limit, horizons):
        fair = exam if exam.excluded is None else exclude_seen(trained, exam, root)
        if len(fair.problems):
            rows += sit(fair, contenders, depths, device, root, progress, mode, restarts)
        else:
            where = getattr(exam.task.config, exam.task.horizon)
            print(f"{task} at horizon {where}: all {len(exam.problems)} problems are of families that were trained on", file=sys.stderr)
    if not rows:
        raise UserError(f"no problem of {task} that nobody was trained on", "longer horizons, or models trained on fewer problems")
    return rows


def sit(
    exam: Exam,
    contenders: Mapping[str, Contender | None],
    depths: tuple[int, ...] | None,
    device: str,
    root: Path,
    progress: Progress,
    mode: str,
    restarts: int | None,
) -> list[Row]:
    """The rows of one exam."""
    rows: list[Row] = []
    asked = len(exam.problems)
    for done, (name, contender) in enumerate(contenders.items()):
        progress(done * asked, len(contenders) * asked)
        if contender is None:
            rows += mark(exam, sit_guess(name, exam), None)
            continue
        unseen, witness = refuse_seen(contender, exam, root), Witness(exam.task, exam.problems.prompt)
        chosen = depths or (contender.like(exam.task).validation.depth,)

        def see(batch: slice, step: int, reply_BT: np.ndarray, before: int = done * asked, last: int = max(chosen), witness: Witness = witness) -> None:
            witness.see(batch, step, reply_BT)
            if step == last:
                progress(before + batch.start, len(contenders) * asked)

        for sitting in sit_model(contender, exam, chosen, mode, device, 0, restarts, see):
            rows += mark(exam, sitting, unseen, witness if mode == "in_place" else None)
    progress(len(contenders) * asked, len(contenders) * asked)
    return rows


def exams(
    task: str,
    options: Mapping[str, Any],
    trained: Contender | None,
    root: Path,
    progress: Progress,
    folder: Path | None,
    split: str,
    puzzles: Path | None,
    limit: int | None,
    horizons: tuple[int, ...] | None,
) -> list[Exam]:
    """Everything that is asked, in order, as `examine` says."""
    if horizons and (folder or puzzles or split != "test"):
        raise UserError("--horizon beside --data, --puzzles or --split", "one of them", "problems at a horizon are made for the exam; a data set has its own")
    own = trained.of(discover.resolve(task)[0]) if trained and not folder and not puzzles else ()
    if trained and own and not options and split == "test":
        horizons = horizons or trained.recipe.ladder
    if horizons:
        alike = own and task in (own[0].task.name, discover.resolve(own[0].task.name)[0])  # not where a preset of other options is asked for
        name, known = (own[0].task.name, {**own[0].task.options, **options}) if alike else (task, options)
        asked = [discover.at_horizon(name, known, horizon) for horizon in horizons]
        return [_fresh(name, chosen, root, progress, limit or LADDER) for chosen in asked]
    if len(own) > 1:
        folders = [dataset(one, root, progress)[0] for one in own]
        held = [folder for folder in folders if read_manifest(folder).rows[split]]
        return [choose(task, options, trained, root, progress, folder, split, None, limit) for folder in held]
    return [choose(task, options, trained, root, progress, folder, split, puzzles, limit)]


def _fresh(task: str, options: Mapping[str, Any], root: Path, progress: Progress, size: int) -> Exam:
    """An exam of problems that nobody trains on, every family once; they are kept under `root` for the next who asks."""
    plan = plan_of(task, options, size, only("test"), SEED)
    folder = root / f"{plan.task}-exam-{hashlib.sha256(json.dumps(asdict(plan), sort_keys=True).encode()).hexdigest()[:12]}"
    build(task, options, folder, size, SEED, only("test"), progress=progress)
    return replace(_open(folder, "test"), excluded=0)


def choose(
    task: str,
    options: Mapping[str, Any],
    trained: Contender | None,
    root: Path,
    progress: Progress,
    folder: Path | None = None,
    split: str = "test",
    puzzles: Path | None = None,
    limit: int | None = None,
) -> Exam:
    """The problems that are asked, as `examine` says; `trained` is the model whose own data are asked where the user names none."""
    if folder and puzzles:
        raise UserError("both --data and --puzzles", "one of them")
    check_split(split)
    if puzzles:
        exam = _file(task, options, trained, puzzles)
    else:
        own = folder is None and split == "test" and not options
        carried = _carried(task, trained, root, limit) if trained and own else None
        exam = carried or _split(task, options, trained, root, progress, folder, split)
    return exam.take(slice(0, limit))


def _file(task: str, options: Mapping[str, Any], trained: Contender | None, puzzles: Path) -> Exam:
    chosen = discover.build_task(task, {**(trained.of(discover.resolve(task)[0])[0].task.options if trained else {}), **options})
    problems = read_file(chosen, puzzles)
    return Exam(chosen, problems, puzzles.name, hashlib.sha256(puzzles.read_bytes()).hexdigest())


def _carried(name: str, trained: Contender, root: Path, limit: int | None) -> Exam | None:
    """The first test problems of a released model, which lie beside it as TEST, where they are enough and its data set is not built: the same problems
    without the minutes of building it. None where there are none or too few. Raises UserError for a problem whose family does not belong to the test split.
    """
    path, recipe = trained.folder / TEST, trained.recipe
    if limit is None or len(recipe.each) > 1 or recipe.data.folder is not None:
        return None
    if not path.is_file() or (place(recipe, root) / "manifest.json").is_file():
        return None
    task = recipe.build_task()
    if task.name != discover.resolve(name)[0]:
        return None
    problems = read_file(task, path)
    plan = plan_of(recipe.task.name, recipe.task.options, recipe.data.size, recipe.data.shares, recipe.data.seed)
    if strangers := int((plan.place(task, problems) != SPLITS.index("test")).sum()):
        raise UserError(f"{strangers} problems of {path} are not of the test split", "the file as it was released", f"remove {path}")
    if len(problems) < limit:
        return None
    call_N = exported_calls(path.read_text(encoding="utf-8")) if task.apart else None
    return Exam(task, problems, "test", trained.card.data_hash, islands(task, problems, call_N))


def _split(task: str, options: Mapping[str, Any], trained: Contender | None, root: Path, progress: Progress, folder: Path | None, split: str) -> Exam:
    if options:
        raise UserError("--set without --puzzles", "--set configures the task that reads a file", "a data set brings its own options")
    if folder is None:
        if trained is None:
            raise UserError("a guess and no problems", "--data FOLDER, --puzzles FILE or --horizon, where the task has one")
        folder, _ = dataset(trained.of(discover.resolve(task)[0])[0], root, progress)
    if (held := read_manifest(folder).plan.task) != discover.resolve(task)[0]:
        raise UserError(f"{folder} holds problems of task {held!r}", task)
    return _open(folder, split)


def _open(folder: Path, split: str) -> Exam:
    """A split of a data set, every family once."""
    manifest = read_manifest(folder)
    problems = open_split(folder, split)
    rows = independent(problems)
    task, chosen = manifest.plan.build_task(), problems.take(rows)
    return Exam(task, chosen, split, manifest.hash, islands(task, chosen, calls(manifest.plan, split, rows)))


def islands(task: Task, problems: Problems, call_N: np.ndarray | None) -> np.ndarray | None:
    """Which island each problem is from, int64 [N], by the call of the generator it is from, where that matters; None where none resembles another."""
    if call_N is None:
        return None
    island_N = task.islands(problems, call_N)
    return island_N if len(np.unique(island_N)) < len(problems) else None

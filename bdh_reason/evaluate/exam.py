"""From what the user asks for to exams, contenders and rows: which problems, whose test split, and that no contender has seen their families."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bdh_reason import discover
from bdh_reason.data.build import Progress, plan_of, read_file
from bdh_reason.data.manifest import Plan
from bdh_reason.data.manifest import read as read_manifest
from bdh_reason.data.read import independent, open_split
from bdh_reason.data.splits import SPLITS, check_split
from bdh_reason.errors import UserError
from bdh_reason.evaluate.contender import Contender, checkpoint
from bdh_reason.evaluate.evaluate import Exam, mark, sit_guess, sit_model
from bdh_reason.evaluate.rows import Row
from bdh_reason.evaluate.witness import Witness
from bdh_reason.train.checkpoint import RELEASED
from bdh_reason.train.problems import dataset, place

TEST = "test.txt"


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
) -> list[Row]:
    """Rows of every contender on the same problems: a split of a data set, a file of puzzles, or the first model's own data.

    Without `depths` each model thinks as deeply as it was validated. Of a split every family counts once, so that its problems are independent.
    Raises UserError for unknown names, for boards that do not fit the weights, and for problems whose family a contender was trained on.
    """
    names = models or (default_model(task),)
    contenders = {name: None if name in discover.guesses() else checkpoint(name) for name in names}
    trained = next((contender for contender in contenders.values() if contender), None)
    exam = choose(task, options, trained, root, progress, folder, split, puzzles, limit)
    rows: list[Row] = []
    asked = len(exam.problems)
    for done, (name, contender) in enumerate(contenders.items()):
        progress(done * asked, len(contenders) * asked)
        if contender is None:
            rows += mark(exam, sit_guess(name, exam), None)
            continue
        unseen, witness = refuse_seen(contender, exam, root), Witness(exam.task, exam.problems.prompt)
        chosen = depths or (contender.recipe.validation.depth,)

        def see(batch: slice, step: int, reply_BT: np.ndarray, before: int = done * asked, last: int = max(chosen), witness: Witness = witness) -> None:
            witness.see(batch, step, reply_BT)
            if step == last:
                progress(before + batch.start, len(contenders) * asked)

        for sitting in sit_model(contender, exam, chosen, mode, device, 0, restarts, see):
            rows += mark(exam, sitting, unseen, witness if mode == "in_place" else None)
    progress(len(contenders) * asked, len(contenders) * asked)
    return rows


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
    islands = None if exam.island_N is None else exam.island_N[:limit]
    return replace(exam, problems=exam.problems.take(slice(0, limit)), island_N=islands)


def _file(task: str, options: Mapping[str, Any], trained: Contender | None, puzzles: Path) -> Exam:
    chosen = discover.build_task(task, {**(trained.recipe.task.options if trained else {}), **options})
    problems = read_file(chosen, puzzles)
    return Exam(chosen, problems, puzzles.name, hashlib.sha256(puzzles.read_bytes()).hexdigest())


def _carried(name: str, trained: Contender, root: Path, limit: int | None) -> Exam | None:
    """The first test problems of a released model, which lie beside it as TEST, where they are enough and its data set is not built: the same problems
    without the minutes of building it. None where there are none or too few. Raises UserError for a problem whose family does not belong to the test split.
    """
    path = trained.folder / TEST
    if limit is None or trained.recipe.data.folder is not None or not path.is_file() or (place(trained.recipe, root) / "manifest.json").is_file():
        return None
    task = trained.recipe.build_task()
    if task.name != discover.resolve(name)[0]:
        return None
    problems = read_file(task, path)
    data = trained.recipe.data
    plan = plan_of(trained.recipe.task.name, trained.recipe.task.options, data.size, data.shares, data.seed)
    if strangers := int((plan.place(task, problems) != SPLITS.index("test")).sum()):
        raise UserError(f"{strangers} problems of {path} are not of the test split", "the file as it was released", f"remove {path}")
    return Exam(task, problems, "test", trained.card.data_hash, islands(plan, "test", np.arange(len(problems)))) if len(problems) >= limit else None


def _split(task: str, options: Mapping[str, Any], trained: Contender | None, root: Path, progress: Progress, folder: Path | None, split: str) -> Exam:
    if options:
        raise UserError("--set without --puzzles", "--set configures the task that reads a file", "a data set brings its own options")
    if folder is None:
        if trained is None:
            raise UserError("a guess and no problems", "--data FOLDER or --puzzles FILE")
        folder, _ = dataset(trained.recipe, root, progress)
    manifest = read_manifest(folder)
    if manifest.plan.task != discover.resolve(task)[0]:
        raise UserError(f"{folder} holds problems of task {manifest.plan.task!r}", task)
    problems = open_split(folder, split)
    rows = independent(problems)
    return Exam(manifest.plan.build_task(), problems.take(rows), split, manifest.hash, islands(manifest.plan, split, rows))


def islands(plan: Plan, split: str, rows: np.ndarray) -> np.ndarray | None:
    """Which island each of these rows of a split is from, int64 [N]; None where problems do not grow out of each other."""
    return rows // plan.chunk_of(split) if plan.build_task().apart and not plan.source else None


def refuse_seen(contender: Contender, exam: Exam, root: Path) -> bool | None:
    """True if no problem's family was trained on: its train split and, for a test, its validation split; None where that data set is not under `root`.

    A merged model was trained on the data of its parents, and every set counts. Raises UserError naming the families that were.
    """
    unseen = [_unseen(contender, data_hash, exam, root) for data_hash in sorted(contender.card.data())]
    return True if all(unseen) else None


def _unseen(contender: Contender, data_hash: str, exam: Exam, root: Path) -> bool | None:
    """`refuse_seen` for one data set."""
    if exam.data_hash == data_hash:
        if exam.split == "train":
            raise UserError(f"the train split of {contender.name}", "validation or test")
        return True  # splits of one set share no family
    for path in root.glob("*/manifest.json"):
        try:
            found = read_manifest(path.parent).hash == data_hash
        except UserError:
            continue  # a data set that is damaged is no matter here
        if found:
            for split in ("train", "validation"):
                seen_N = np.isin(exam.problems.family, open_split(path.parent, split).family)
                if seen_N.any():
                    families = ", ".join(f"{int(family):016x}" for family in exam.problems.family[seen_N][:3])
                    raise UserError(f"{int(seen_N.sum())} problems are in the {split} split of {contender.name}: {families}", "problems it has not seen")
            return True
    return None

"""From what the user asks for to exams, contenders and rows: which problems, whose test split, and that no contender has seen their families."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bdh_reason import discover
from bdh_reason.config import configure
from bdh_reason.data.build import Progress, read_file
from bdh_reason.data.manifest import read as read_manifest
from bdh_reason.data.read import open_split
from bdh_reason.errors import UserError
from bdh_reason.evaluate.contender import Contender, checkpoint
from bdh_reason.evaluate.evaluate import Exam, mark, sit_guess, sit_model
from bdh_reason.evaluate.rows import Row
from bdh_reason.task import Task
from bdh_reason.train.problems import dataset


def configured(task: str, options: Mapping[str, Any]) -> Task:
    """A task by name with some options changed. Raises UserError for an unknown name or option."""
    module = discover.task_module(task)
    return module.Task(configure(module.Config, options, f"the options of task {task}"))


def default_model(task: str) -> str:
    """The released checkpoint that answers when the user names none. Raises UserError where there is none."""
    released = Path("results/checkpoints") / task
    if not (released / "model.json").is_file():
        raise UserError(f"no --model given, and no released model for task {task!r} here", "--model with a run's folder", "`bdh-reason train` makes one")
    return str(released)


def examine(
    task: str,
    options: Mapping[str, Any],
    models: tuple[str, ...],
    depths: tuple[int, ...],
    device: str,
    root: Path,
    progress: Progress,
    folder: Path | None = None,
    puzzles: Path | None = None,
    mode: str = "in_place",
    limit: int | None = None,
) -> list[Row]:
    """Rows of every contender on the same problems: a data set's test split, a file of puzzles, or the first model's own test split.

    Raises UserError for unknown names, for boards that do not fit the weights, and for problems whose family a contender was trained on.
    """
    if folder and puzzles:
        raise UserError("both --data and --puzzles", "one of them")
    names = models or (default_model(task),)
    contenders = {name: None if name in discover.guesses() else checkpoint(name) for name in names}
    trained = next((contender for contender in contenders.values() if contender), None)
    exam = _exam(task, options, trained, root, progress, folder, puzzles)
    if limit:
        exam = Exam(exam.task, exam.problems.take(slice(0, limit)), exam.split, exam.data_hash)
    rows: list[Row] = []
    for done, (name, contender) in enumerate(contenders.items()):
        progress(done, len(contenders))
        if contender is None:
            rows += mark(exam, sit_guess(name, exam))
            continue
        refuse_seen(contender, exam, root)
        for sitting in sit_model(contender, exam, depths, mode, device):
            rows += mark(exam, sitting)
    progress(len(contenders), len(contenders))
    return rows


def _exam(task: str, options: Mapping[str, Any], trained: Contender | None, root: Path, progress: Progress, folder: Path | None, puzzles: Path | None) -> Exam:
    if puzzles:
        home = trained.recipe.task.options if trained else {}
        chosen = configured(task, {**home, **options})
        problems = read_file(chosen, puzzles)
        return Exam(chosen, problems, puzzles.name, hashlib.sha256(puzzles.read_bytes()).hexdigest())
    if options:
        raise UserError("--set without --puzzles", "--set configures the task that reads a file", "a data set brings its own options")
    if folder is None:
        if trained is None:
            raise UserError("a guess and no problems", "--data FOLDER or --puzzles FILE")
        folder, _ = dataset(trained.recipe, root, progress)
    manifest = read_manifest(folder)
    if manifest.plan.task != task:
        raise UserError(f"{folder} holds problems of task {manifest.plan.task!r}", task)
    return Exam(manifest.plan.build_task(), open_split(folder, "test"), "test", manifest.hash)


def refuse_seen(contender: Contender, exam: Exam, root: Path) -> None:
    """Raises UserError if a problem's family is in the contender's training or validation split, wherever that data set is still at hand."""
    for manifest_path in root.glob("*/manifest.json"):
        folder = manifest_path.parent
        if read_manifest(folder).hash != contender.card.data_hash:
            continue
        for split in ("train", "validation"):
            seen_N = np.isin(exam.problems.family, open_split(folder, split).family)
            if seen_N.any():
                families = ", ".join(f"{int(family):016x}" for family in exam.problems.family[seen_N][:3])
                raise UserError(f"{int(seen_N.sum())} problems are in the {split} split of {contender.name}: {families}", "problems it has not seen")

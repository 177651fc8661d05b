"""From what the user asks for to exams, contenders and rows: which problems, whose test split, and that no contender has seen their families."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bdh_reason import discover
from bdh_reason.data.build import Progress, read_file
from bdh_reason.data.manifest import read as read_manifest
from bdh_reason.data.read import open_split
from bdh_reason.errors import UserError
from bdh_reason.evaluate.contender import RELEASED, Contender, checkpoint
from bdh_reason.evaluate.evaluate import Exam, mark, sit_guess, sit_model
from bdh_reason.evaluate.rows import Row
from bdh_reason.train.problems import dataset


def default_model(task: str) -> str:
    """The released checkpoint that answers when the user names none. Raises UserError where there is none."""
    discover.task_module(task)
    released = RELEASED / task
    if not (released / "model.json").is_file():
        raise UserError(f"no --model given, and no released model for task {task!r} here", "--model with a run's folder", "`bdh-reason train` makes one")
    return str(released)


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
    limit: int | None = None,
) -> list[Row]:
    """Rows of every contender on the same problems: a split of a data set, a file of puzzles, or the first model's own data.

    Without `depths` each model thinks as deeply as it was validated. Of a split every family counts once, so that its problems are independent.
    Raises UserError for unknown names, for boards that do not fit the weights, and for problems whose family a contender was trained on.
    """
    if folder and puzzles:
        raise UserError("both --data and --puzzles", "one of them")
    names = models or (default_model(task),)
    contenders = {name: None if name in discover.guesses() else checkpoint(name) for name in names}
    trained = next((contender for contender in contenders.values() if contender), None)
    exam = _file(task, options, trained, puzzles) if puzzles else _split(task, options, trained, root, progress, folder, split)
    exam = replace(exam, problems=exam.problems.take(slice(0, limit)))
    rows: list[Row] = []
    for done, (name, contender) in enumerate(contenders.items()):
        progress(done, len(contenders))
        if contender is None:
            rows += mark(exam, sit_guess(name, exam), None)
            continue
        unseen = refuse_seen(contender, exam, root)
        for sitting in sit_model(contender, exam, depths or (contender.recipe.validation.depth,), mode, device):
            rows += mark(exam, sitting, unseen)
    progress(len(contenders), len(contenders))
    return rows


def _file(task: str, options: Mapping[str, Any], trained: Contender | None, puzzles: Path) -> Exam:
    chosen = discover.build_task(task, {**(trained.recipe.task.options if trained else {}), **options})
    problems = read_file(chosen, puzzles)
    return Exam(chosen, problems, puzzles.name, hashlib.sha256(puzzles.read_bytes()).hexdigest())


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
    _, first_N = np.unique(problems.family, return_index=True)
    return Exam(manifest.plan.build_task(), problems.take(np.sort(first_N)), split, manifest.hash)


def refuse_seen(contender: Contender, exam: Exam, root: Path) -> bool | None:
    """True if no problem's family was trained on: its train split and, for a test, its validation split; None where that data set is not under `root`.

    Raises UserError naming the families that were.
    """
    if exam.data_hash == contender.card.data_hash:
        if exam.split == "train":
            raise UserError(f"the train split of {contender.name}", "validation or test")
        return True  # splits of one set share no family
    for path in root.glob("*/manifest.json"):
        try:
            found = read_manifest(path.parent).hash == contender.card.data_hash
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

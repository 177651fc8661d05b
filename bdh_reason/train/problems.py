"""The data set of a recipe: found under the root by what it contains, and built there when it is missing."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from bdh_reason.data.audit import leaks
from bdh_reason.data.build import Progress, build
from bdh_reason.data.manifest import read
from bdh_reason.data.read import open_split
from bdh_reason.errors import UserError
from bdh_reason.task import Problems
from bdh_reason.train.recipe import Recipe


@dataclass(frozen=True)
class Splits:
    """The problems a run may see, and the hash of the data set they come from. The test split is none of them."""

    train: Problems
    validation: Problems
    data_hash: str


def place(recipe: Recipe, root: Path) -> Path:
    """Where the recipe's data set is, or would be built."""
    if recipe.data.folder is not None:
        return root / recipe.data.folder
    plan = f"{recipe.task.model_dump_json()} {recipe.data.model_dump_json(exclude_none=True)}"
    return root / f"{recipe.task.name}-{hashlib.sha256(plan.encode()).hexdigest()[:12]}"


def dataset(recipe: Recipe, root: Path, progress: Progress) -> tuple[Path, str]:
    """The folder and the hash of the recipe's data set. Raises UserError for a set that is not there or is of another task."""
    folder, data = place(recipe, root), recipe.data
    if data.folder is not None:
        return _existing(recipe, folder)
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not (folder / "manifest.json").exists():
        print(f"building {data.size:,} problems of {recipe.task.name} in {folder}", file=sys.stderr)
    manifest = build(recipe.task.name, recipe.task.options, folder, data.size, data.seed, data.shares, workers, progress)
    return folder, manifest.hash


def _existing(recipe: Recipe, folder: Path) -> tuple[Path, str]:
    manifest = read(folder)
    here, there = recipe.build_task(), manifest.plan.build_task()
    board, other = (task.board("cells", "grid") for task in (here, there))
    if here.name != there.name or (board.positions, board.symbols) != (other.positions, other.symbols):
        raise UserError(f"{folder} holds problems of {there.name} {there.config}", f"{here.name} {here.config}, as recipe {recipe.name} says")
    return folder, manifest.hash


def splits(recipe: Recipe, root: Path, progress: Progress) -> Splits:
    """Train and validation problems of a recipe. Raises UserError where families leak between splits."""
    folder, data_hash = dataset(recipe, root, progress)
    if found := leaks(folder):
        raise UserError(f"the data set leaks: {found[0]}", "splits that share no family", f"remove {folder} and build it again")
    train = open_split(folder, "train")
    if recipe.data.folder is not None:
        train = train.take(slice(recipe.data.size))
    return Splits(train, open_split(folder, "validation"), data_hash)

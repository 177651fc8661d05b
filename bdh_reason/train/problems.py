"""The data sets of a recipe's parts: found under the root by what they contain, and built there when they are missing."""

from __future__ import annotations

import hashlib
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from bdh_reason import discover
from bdh_reason.data.audit import leaks
from bdh_reason.data.batches import Batches
from bdh_reason.data.build import Progress, build
from bdh_reason.data.manifest import NAME, read
from bdh_reason.data.read import open_split
from bdh_reason.data.shots import Lessons
from bdh_reason.data.windows import Windows
from bdh_reason.errors import UserError
from bdh_reason.task import Corpus, Problems
from bdh_reason.train.recipe import Recipe


class Source(Protocol):
    """What a part's batches are drawn from."""

    def at(self, step: int) -> Problems:
        """The batch of the part's own step, counted from 0: a function of the step and of what the source was made with."""


@dataclass(frozen=True)
class Splits:
    """The problems a part of a run may see, and the hash of the data set they come from. The test split is none of them. A part with so few different
    problems that none falls to validation has no such split. `manifest`: the file that says what the set is.
    """

    train: Problems
    validation: Problems | None
    data_hash: str
    manifest: Path | None = None


@dataclass(frozen=True)
class Texts:
    """The same of a text: the corpus, of which `Windows` reads the training documents, and the validation documents."""

    corpus: Corpus
    validation: Sequence[np.ndarray]
    data_hash: str


def place(recipe: Recipe, root: Path) -> Path:
    """Where the data set of a recipe of one part is, or would be built."""
    if recipe.data.folder is not None:
        return root / recipe.data.folder
    plan = f"{recipe.task.model_dump_json()} {recipe.data.model_dump_json(exclude_none=True)}"
    return root / f"{recipe.task.name}-{hashlib.sha256(plan.encode()).hexdigest()[:12]}"


def dataset(recipe: Recipe, root: Path, progress: Progress) -> tuple[Path, str]:
    """The folder and the hash of the data set of a recipe of one part. Raises UserError for a set that is not there or is of another task."""
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


def splits(recipe: Recipe, root: Path, progress: Progress) -> tuple[Splits | Texts, ...]:
    """Train and validation problems of every part, or its text. Raises UserError where families leak between splits, of one part or of two that have a task
    and a size of board in common, and for a text that cannot be had.
    """
    alike: dict[tuple[str, int], set[Path]] = defaultdict(set)
    found: list[Splits | Texts] = []
    for one in recipe.each:
        if isinstance(corpus := one.subject(), Corpus):
            found.append(Texts(corpus, corpus.documents("validation"), corpus.hash))
            continue
        folder, data_hash = dataset(one, root, progress)
        train = open_split(folder, "train")
        if one.data.folder is not None:
            train = train.take(slice(one.data.size))
        alike[discover.resolve(one.task.name)[0], train.prompt.shape[1]].add(folder)
        held = read(folder).rows["validation"]
        if not held:
            print(f"{one.name} has no validation problems: how it does is not known before the exam", file=sys.stderr)
        asked = open_split(folder, "validation") if held or len(recipe.each) == 1 else None
        found.append(Splits(train, asked, data_hash, folder / NAME))
    if all(its.validation is None for its in found):
        raise UserError("no part has validation problems", "at least one that does", "larger data.shares for validation, or more data")
    for folders in alike.values():
        if leak := leaks(*sorted(folders)):
            raise UserError(f"the data set leaks: {leak[0]}", "splits that share no family", "parts with equal data.shares, and data built anew")
    return tuple(found)


def source(recipe: Recipe, splits: Splits | Texts, steps: int) -> Source:
    """What the `steps` batches of a recipe of one part are drawn from. Raises UserError as `Batches` and `Windows` do."""
    if isinstance(splits, Texts):
        return Windows(splits.corpus, recipe.batch, splits.corpus.config.window, recipe.seed, recipe.stream)
    size = recipe.batch * (recipe.context.examples + 1)
    batches = Batches(splits.train, recipe.build_task(), size, recipe.seed, mix=recipe.mix.shares(), steps=steps)
    return Lessons(batches, recipe.context.examples, recipe.context.cipher) if recipe.context.examples else batches

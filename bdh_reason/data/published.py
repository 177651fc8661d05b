"""Data sets that others have published, by name: what a task exports in `PUBLISHED`, as name -> (repository on huggingface.co, its files).

A file keeps its part: `test.csv` goes into the test split whole, `train.csv` is for training and validation.
"""

from __future__ import annotations

from pathlib import Path

from bdh_reason import discover
from bdh_reason.data.splits import only
from bdh_reason.errors import UserError, unknown

TRAIN_SHARES = (0.99, 0.01, 0.0)


def published() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Name -> (task, repository, files) of all published sets; imports every task."""
    modules = {task: discover.task_module(task) for task in discover.task_names()}
    return {name: (task, *known) for task, module in modules.items() for name, known in getattr(module, "PUBLISHED", {}).items()}


def task_of(name: str) -> str:
    """The task of a published set. Raises UserError for an unknown name."""
    known = published()
    if name not in known:
        raise unknown("published set", name, known)
    return known[name][0]


def shares_of(file: Path) -> tuple[float, float, float]:
    """The shares that leave a published file what it is. Raises UserError for a file that is named for neither part."""
    if file.stem not in ("train", "test"):
        raise UserError(f"{file.name} does not say which part of a published set it is", "train.csv or test.csv", "say --shares or --only")
    return TRAIN_SHARES if file.stem == "train" else only("test")


def download(name: str, file: str) -> Path:
    """A file of a published set, fetched with huggingface_hub or found in its cache. Raises UserError where that cannot be."""
    _, repository, files = published()[name]
    if file not in files:
        raise unknown("file", file, files, name)
    remedy = f"or get {file} of {repository} yourself and name it with --csv"
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise UserError(f"{name} without --csv needs huggingface_hub", remedy=f"pip install bdh-reason[hub], {remedy}") from error
    try:
        return Path(hf_hub_download(repository, file, repo_type="dataset"))
    except Exception as error:  # no network, no such repository, a full disk: each comes as another kind
        raise UserError(f"cannot get {file} of {repository}: {error}", remedy=f"try again, {remedy}") from error

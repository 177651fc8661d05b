"""Opening a data set that was built: its splits as memory-mapped arrays, and single problems to look at."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from bdh_reason.data.assemble import check_files
from bdh_reason.data.manifest import DTYPES, Manifest, Plan, read
from bdh_reason.data.splits import check_split
from bdh_reason.errors import UserError
from bdh_reason.task import Problems


def open_split(folder: Path, split: str) -> Problems:
    """One split of a data set, memory-mapped and read-only: rows cost memory when they are taken, and all processes of a machine share them.

    Raises UserError if the set is missing, unfinished, of another schema or task version, if a file is missing or changed, and if the split is empty.
    """
    check_split(split)
    manifest = read(folder)
    manifest.plan.build_task()
    check_files(folder, manifest)
    if not manifest.rows[split]:
        raise UserError(f"split {split!r} of {folder} has no rows", ", ".join(name for name, rows in manifest.rows.items() if rows), "build more data")
    for field in DTYPES:
        name = f"{split}.{field}.npy"
        if not same(folder / name, manifest.sha256[name]):
            raise UserError(f"{folder / name} has another SHA-256 than its manifest", "the file as it was built", "remove the folder and build the data again")
    return map_split(folder, manifest, split)


def same(path: Path, sha256: str) -> bool:
    """Whether a file is there and has this SHA-256."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def map_split(folder: Path, manifest: Manifest, split: str) -> Problems:
    """The arrays of one split without the checks of the whole set. Raises UserError for a file that is not the array it should be."""
    arrays = {}
    for field, dtype in DTYPES.items():
        path = folder / f"{split}.{field}.npy"
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # a damaged header fails in many ways
            raise UserError(f"{path} is no array: {error}", remedy="remove the folder and build the data again") from error
        if array.dtype != dtype or len(array) != manifest.rows[split]:
            raise UserError(f"{path} is {array.dtype} {array.shape}", f"{np.dtype(dtype)}, {manifest.rows[split]} rows", "build the data again")
        arrays[field] = array
    return Problems(**arrays)


def independent(problems: Problems) -> np.ndarray:
    """The rows, int64, of every family once, the first of each, in their order."""
    return np.sort(np.unique(problems.family, return_index=True)[1])


def calls(plan: Plan, split: str, rows: np.ndarray) -> np.ndarray | None:
    """Which call of the generator each of these rows of a split is from, int64 [N]; None where problems of one call are no more akin than others."""
    return rows // plan.chunk_of(split) if plan.build_task().apart and not plan.source else None


def export(folder: Path, split: str, limit: int | None) -> bytes:
    """The prompts of a split as lines, every family once, the first `limit` of them; an empty line between those of one call of the generator and of the
    next, where that matters (`calls`). Raises UserError as `open_split` does.
    """
    problems = open_split(folder, split)
    rows = independent(problems)[:limit]
    lines = [prompt_T.tobytes().decode("latin-1").encode() + b"\n" for prompt_T in problems.prompt[rows]]
    call_N = calls(read(folder).plan, split, rows)
    begins_N = np.zeros(len(rows), bool) if call_N is None else np.diff(call_N, prepend=call_N[:1]) > 0
    return b"".join(b"\n" + line if begins else line for line, begins in zip(lines, begins_N))


def exported_calls(content: str) -> np.ndarray:
    """What `calls` says of the problems of a file that `export` wrote, int64 [N]; of one without empty lines, that all may be from one call."""
    return np.array([number for number, part in enumerate(content.split("\n\n")) for line in part.splitlines() if line.strip()], np.int64)


def show(folder: Path, split: str, row: int) -> dict[str, Any]:
    """One problem to look at: its `picture` beside its solution, and what is known about it.

    Raises UserError as `open_split` does, and for a row that is not there.
    """
    problems = open_split(folder, split)
    if not 0 <= row < len(problems):
        raise UserError(f"row {row} of split {split!r}", f"0 to {len(problems) - 1}")
    plan = read(folder).plan
    task = plan.build_task()
    prompt_T, target_T = problems.prompt[row], problems.target[row]
    return {
        "task": plan.task,
        "split": split,
        "row": row,
        "prompt": bytes(prompt_T).decode("latin-1"),
        "target": bytes(target_T).decode("latin-1"),
        "blanks": int(problems.scored[row].sum()),
        "difficulty": float(problems.difficulty[row]),
        "family": f"{int(problems.family[row]):016x}",
        "picture": task.render(prompt_T, target_T),
    }

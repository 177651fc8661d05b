"""From parts to a data set: the work folder, the parts' files, and the last step that sorts all rows by split into fifteen arrays.

Every file is written under another name and renamed, `manifest.json` last, so a build may be stopped anywhere and run again.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from bdh_reason.data.manifest import BUILDING, DTYPES, FILES, NAME, Manifest, Plan, as_json, read, read_plan
from bdh_reason.data.splits import SPLITS
from bdh_reason.errors import UserError
from bdh_reason.files import replace, sync
from bdh_reason.task import Problems


def prepare(folder: Path, plan: Plan) -> Manifest | None:
    """Makes `folder` ready to build `plan` in; returns the manifest if the whole set is there already.

    Raises UserError if the folder holds anything else: another data set, the unfinished build of another plan, or foreign files.
    """
    if (folder / NAME).exists():
        manifest = read(folder)
        _same(folder, manifest.plan, plan)
        check_files(folder, manifest)
        shutil.rmtree(folder / BUILDING, ignore_errors=True)
        return manifest
    planned = folder / BUILDING / "plan.json"
    if planned.exists():
        _same(folder, read_plan(planned), plan)
        return None
    foreign = sorted({path.name for path in folder.iterdir()} - {*FILES, BUILDING}) if folder.exists() else []
    if foreign:
        raise UserError(f"{folder} holds other files: {', '.join(foreign[:5])}", "a new or an empty folder")
    planned.parent.mkdir(parents=True, exist_ok=True)
    replace(planned, as_json(asdict(plan)))
    return None


def _same(folder: Path, there: Plan, here: Plan) -> None:
    """Raises UserError naming what differs between the plan in the folder and the one asked for."""
    old, new = asdict(there), asdict(here)
    differing = [f"{key} is {old[key]} there and {new[key]} here" for key in old if old[key] != new[key]]
    if differing:
        raise UserError(f"{folder} already holds another data set: {'; '.join(differing)}", "an empty folder or the same settings")


def check_files(folder: Path, manifest: Manifest) -> None:
    """Raises UserError unless every file is there in full length."""
    for name, size in manifest.bytes.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            found = f"has {path.stat().st_size} bytes" if path.is_file() else "is missing"
            raise UserError(f"{path} {found}", f"{size} bytes", "remove the folder and build the data again")


def save(path: Path, problems: Problems) -> None:
    """One part as a file that proves itself whole: a SHA-256, then the five arrays."""
    arrays = io.BytesIO()
    np.savez(arrays, **{field: getattr(problems, field) for field in DTYPES})
    content = arrays.getvalue()
    replace(path, hashlib.sha256(content).digest() + content)


def load(path: Path) -> Problems | None:
    """The part that `save` wrote; None where there is no such file or it is not whole."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    digest, content = content[:32], content[32:]
    if hashlib.sha256(content).digest() != digest:
        return None
    with np.load(io.BytesIO(content)) as arrays:
        return Problems(**{field: arrays[field] for field in DTYPES})


def assemble(folder: Path, plan: Plan, parts: Callable[[], Iterable[Problems]]) -> Manifest:
    """Writes the data set of all `parts` in order (two passes over them) and clears the work folder."""
    task = plan.build_task()
    family_N, split_N = (np.concatenate(arrays) for arrays in zip(*((part.family, plan.place(task, part)) for part in parts())))
    of_split = [family_N[split_N == k] for k in range(len(SPLITS))]
    rows = {split: len(family_n) for split, family_n in zip(SPLITS, of_split)}
    _write_arrays(folder / BUILDING, rows, partial(plan.place, task), parts)
    sizes, digests = {}, {}
    for name in FILES:
        path = folder / BUILDING / name
        sizes[name] = path.stat().st_size
        with path.open("rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
        os.replace(path, folder / name)
    families = {split: len(np.unique(family_n)) for split, family_n in zip(SPLITS, of_split)}
    manifest = Manifest(plan, rows, families, sizes, digests)
    manifest.write(folder)
    shutil.rmtree(folder / BUILDING)
    return manifest


def _write_arrays(work: Path, rows: dict[str, int], place: Callable[[Problems], np.ndarray], parts: Callable[[], Iterable[Problems]]) -> None:
    """The fifteen arrays, part by part: plain writes and no memory maps, because a full disk kills the writer of a map without a word."""
    positions = next(iter(parts())).prompt.shape[1:]
    with ExitStack() as open_files:
        files = {}
        for name, (split, field) in FILES.items():
            shape = (rows[split], *(positions if field in ("prompt", "target", "scored") else ()))
            header = {"descr": np.lib.format.dtype_to_descr(np.dtype(DTYPES[field])), "fortran_order": False, "shape": shape}
            files[split, field] = open_files.enter_context((work / name).open("wb"))
            np.lib.format.write_array_header_1_0(files[split, field], header)
        for part in parts():
            split_N = place(part)
            for k, split in enumerate(SPLITS):
                chosen = part.take(split_N == k)
                for field, dtype in DTYPES.items():
                    files[split, field].write(np.ascontiguousarray(getattr(chosen, field), dtype).tobytes())
        for file in files.values():
            sync(file)

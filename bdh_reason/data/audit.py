"""Is a data set what it says it is? Every file and every row is checked against the task's own rules; nothing that was stored is believed.

Axes: N problems.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from bdh_reason.data.build import Progress, quiet
from bdh_reason.data.manifest import Manifest, read
from bdh_reason.data.read import map_split, same
from bdh_reason.data.splits import SPLITS
from bdh_reason.errors import UserError
from bdh_reason.task import Problems, Task

BLOCK = 4096  # rows looked at together
NAMED = 5  # rows or families a finding names


@dataclass(frozen=True)
class Report:
    """What was looked at, and one line for everything that is wrong: no findings, a clean set.

    `repeats`: how many rows are of a family that an earlier row of the same split has, as in small spaces of problems; that is no fault.
    """

    rows: int
    findings: tuple[str, ...]
    repeats: int


def audit(*folders: Path, progress: Progress = quiet) -> Report:
    """Checks one or more data sets, and that no family lies in two different splits of any of them (training on one, testing on another).

    Files: presence and SHA-256. Rows: the family is that of the prompt and lies in its split, the target obeys the rules, the prompt has exactly
    one solution, and the scored positions are exactly those the target fills. Calls `progress(done, rows)`.
    Raises UserError where there is no data set to look at, or one of another schema or task version.
    """
    manifests = {folder: read(folder) for folder in folders}
    total = sum(sum(manifest.rows.values()) for manifest in manifests.values())
    findings: list[str] = []
    families: dict[tuple[Path, str], np.ndarray] = {}
    done = 0

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        progress(done, total)

    for folder, manifest in manifests.items():
        task = manifest.plan.build_task()
        findings += _check_files(folder, manifest)
        for split in SPLITS:
            try:
                families[folder, split], faults = _check_rows(task, folder, manifest, split, advance)
            except UserError as error:
                findings.append(f"{folder}, {split}: {error}")
                continue
            findings += [f"{folder}, {split}: {fault}: {_first([str(row) for row in rows], 'row')}" for fault, rows in faults.items() if rows]
    return Report(done, (*findings, *_leaks(families)), done - sum(map(len, families.values())))


def leaks(*folders: Path) -> tuple[str, ...]:
    """The quick check before training and evaluation: families that lie in two different splits of these data sets, as stored and not recomputed."""
    manifests = {folder: read(folder) for folder in folders}
    return tuple(_leaks({(folder, split): np.unique(map_split(folder, manifest, split).family) for folder, manifest in manifests.items() for split in SPLITS}))


def _check_files(folder: Path, manifest: Manifest) -> Iterator[str]:
    for name, digest in manifest.sha256.items():
        path = folder / name
        if not path.is_file():
            yield f"{path} is missing"
            continue
        if not same(path, digest):
            yield f"{path} has another SHA-256 than its manifest"


def _check_rows(task: Task, folder: Path, manifest: Manifest, split: str, advance: Callable[[int], None]) -> tuple[np.ndarray, dict[str, list[int]]]:
    """The distinct families of a split, uint64, and the rows that each fault was found in. Raises UserError for arrays no row can be read from."""
    problems = map_split(folder, manifest, split)
    families = [np.empty(0, np.uint64)]
    faults: dict[str, list[int]] = defaultdict(list)
    for start in range(0, len(problems), BLOCK):
        block = problems.take(np.arange(start, min(start + BLOCK, len(problems))))  # a copy out of the map
        family_N = task.canonical(block.prompt)
        families.append(np.unique(family_N))
        for fault, bad_N in _faults(task, manifest, split, block, family_N):
            faults[fault] += (start + np.flatnonzero(bad_N)).tolist()
        advance(len(block))
    return np.unique(np.concatenate(families)), faults


def _faults(task: Task, manifest: Manifest, split: str, block: Problems, family_N: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """(what is wrong, bool [N]) for each thing that may be wrong with a row."""
    yield "the stored family is not the prompt's", block.family != family_N
    kind = "kin" if task.apart else "family"
    yield f"the {kind} belongs into another split", manifest.plan.place(task, replace(block, family=family_N)) != SPLITS.index(split)
    yield "the target breaks the rules", ~task.verify(block.prompt, block.target)
    solutions_N = task.solutions(block.prompt)
    yield "the prompt has no solution", solutions_N == 0
    yield "the prompt has several solutions", solutions_N > 1
    yield "the scored positions are not those the target fills", (block.scored != (block.prompt != block.target)).any(1)


def _leaks(families: dict[tuple[Path, str], np.ndarray]) -> Iterator[str]:
    for ((folder, split), one), ((other_folder, other_split), other) in combinations(families.items(), 2):
        shared = np.intersect1d(one, other, assume_unique=True)
        if split != other_split and len(shared):
            names = _first([f"{int(family):016x}" for family in shared], "family")
            yield f"leak between {split} of {folder} and {other_split} of {other_folder}: {names}"


def _first(names: list[str], noun: str) -> str:
    """`3 rows: 0, 7, 9`, cut after NAMED names."""
    plural = noun if len(names) == 1 else f"{noun.removesuffix('y')}ies" if noun.endswith("y") else f"{noun}s"
    return f"{len(names)} {plural}: {', '.join(names[:NAMED])}{' …' if len(names) > NAMED else ''}"

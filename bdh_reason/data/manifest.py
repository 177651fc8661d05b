"""What a data set says about itself. A folder is a data set if and only if it holds `manifest.json`, which is written last.

Beside it lie fifteen plain arrays, `train.prompt.npy` … `test.family.npy`: one per split and field of Problems, which `numpy.load` opens.
While a set is being built, a folder `building` inside it holds the plan and the finished chunks.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bdh_reason import __version__, discover
from bdh_reason.config import content
from bdh_reason.data.splits import SPLITS, ZONES, assign
from bdh_reason.errors import UserError
from bdh_reason.files import replace
from bdh_reason.task import Problems, Task

SCHEMA = 1
NAME, BUILDING = "manifest.json", "building"
DTYPES = {"prompt": np.uint8, "target": np.uint8, "scored": np.bool_, "difficulty": np.float32, "family": np.uint64}
FILES = {f"{split}.{field}.npy": (split, field) for split in SPLITS for field in DTYPES}


@dataclass(frozen=True)
class Plan:
    """Everything that decides what is in a data set.

    `config` holds every option of the task, the defaults too. `source` is empty, or the name and SHA-256 of an imported file (no seed then: 0).
    `exam_chunk`: rows of a chunk of validation and test, where the splits are grown apart and each chunk is an island; 0: as in train.
    """

    task: str
    task_version: str
    config: dict[str, Any]
    size: int
    seed: int
    shares: tuple[float, float, float]
    chunk: int
    source: str = ""
    exam_chunk: int = field(default=0, metadata={"later": True})

    def chunk_of(self, split: str) -> int:
        """Rows of a chunk of one split."""
        return self.chunk if split in ("train", "") else self.exam_chunk or self.chunk

    def build_task(self) -> Task:
        """The task that made the set. Raises UserError for an unknown task or another version of it."""
        module = discover.task_module(self.task)
        if module.Task.version != self.task_version:
            raise UserError(f"data of {self.task}@{self.task_version}", f"{self.task}@{module.Task.version}, the version installed", "build the data again")
        return discover.build_task(self.task, self.config)

    def place(self, task: Task, problems: Problems) -> np.ndarray:
        """Which split each problem belongs to, as positions in SPLITS, int64 [N]; `task` is what `build_task` gives."""
        return assign(task.kin(problems), ZONES) if task.apart and not self.source else assign(problems.family, self.shares)


@dataclass(frozen=True)
class Manifest:
    """`rows` and distinct `families` per split, `bytes` and `sha256` per file, all the rest in the plan.

    Rows of the same family are allowed inside a split (small puzzles repeat), so `families` says how many different problems there really are.
    """

    plan: Plan
    rows: dict[str, int]
    families: dict[str, int]
    bytes: dict[str, int]
    sha256: dict[str, str]
    package: str = __version__
    schema: int = SCHEMA

    @property
    def hash(self) -> str:
        """SHA-256 of the plan and of all files' hashes: the `data_hash` of a result row. The package's version is no part of it."""
        about = {key: value for key, value in asdict(self).items() if key not in ("package", "schema")} | {"plan": content(self.plan)}
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Turns the folder into a data set."""
        replace(folder / NAME, as_json({**asdict(self), "hash": self.hash}))


def as_json(about: dict[str, Any]) -> bytes:
    """Indented JSON, the form of every text file of a data set."""
    return json.dumps(about, indent=1).encode()


def read_plan(path: Path) -> Plan:
    """The plan of an unfinished build. Raises UserError if it is damaged or from another version of this package."""
    try:
        return _plan(json.loads(path.read_bytes()))
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path) from error


def _plan(about: dict[str, Any]) -> Plan:
    return Plan(**{**about, "shares": tuple(about["shares"])})


def read(folder: Path) -> Manifest:
    """The manifest of a data set. Raises UserError if there is none, if it is of another schema version, or if it was changed by hand."""
    path = folder / NAME
    if not path.is_file():
        if (folder / BUILDING).is_dir():
            raise UserError(f"the build of {folder} was interrupted", remedy="run the same build again: it continues where it stopped")
        raise UserError(f"no data set in {folder}", f"a folder with {NAME}", "`bdh-reason data build` makes one")
    try:
        about = json.loads(path.read_bytes())
        schema = about["schema"]
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path) from error
    if schema != SCHEMA:
        raise UserError(f"{path} has schema version {schema}", f"{SCHEMA}, the version of bdh-reason {__version__}", "build the data again")
    try:
        digest = about.pop("hash")
        manifest = Manifest(**{**about, "plan": _plan(about["plan"])})
    except (TypeError, KeyError) as error:
        raise _damaged(path) from error
    if digest != manifest.hash:
        raise _damaged(path)
    return manifest


def _damaged(path: Path) -> UserError:
    return UserError(f"{path} is damaged or was edited", "the file as it was built", "remove the folder and build the data again")

"""Has a contender been trained on these problems? Their families are compared with all that its data sets hold, as far as those are at hand.

Axes: N problems.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from bdh_reason import discover
from bdh_reason.data.manifest import Manifest
from bdh_reason.data.manifest import read as read_manifest
from bdh_reason.data.read import map_split, open_split
from bdh_reason.errors import UserError
from bdh_reason.evaluate.contender import Contender
from bdh_reason.evaluate.evaluate import Exam

TRAINED = ("train", "validation")  # what a test must not share a family with


def refuse_seen(contender: Contender, exam: Exam, root: Path) -> bool | None:
    """True if no problem's family was trained on: its train split and, for a test, its validation split; None where a data set is not under `root`.

    A merged model was trained on the data of its parents and a run on those of its parts, and every set counts. Raises UserError naming families that were.
    """
    found, whole = _seen(contender, exam, root)
    for split, seen_N in found.items():
        if seen_N.any():
            families = ", ".join(f"{int(family):016x}" for family in exam.problems.family[seen_N][:3])
            raise UserError(f"{int(seen_N.sum())} problems are in the {split} split of {contender.name}: {families}", "problems it has not seen")
    return whole or None


def exclude_seen(contenders: Iterable[Contender], exam: Exam, root: Path) -> Exam:
    """The exam without the families that any of the contenders was trained on, so that all sit the same one, and how many problems those were."""
    seen_N = np.zeros(len(exam.problems), bool)
    for contender in contenders:
        seen_N |= np.logical_or.reduce([*_seen(contender, exam, root)[0].values(), seen_N])
    return replace(exam.take(~seen_N), excluded=int(seen_N.sum()))


def _seen(contender: Contender, exam: Exam, root: Path) -> tuple[dict[str, np.ndarray], bool]:
    """By split which problems' families lie in it, bool [N], in any data set the contender was trained on; and whether all of these were at hand."""
    hashes = {data_hash for one, data_hash in contender.lessons() if not discover.is_text(one.task.name)}
    if exam.data_hash in hashes:
        if exam.split == "train":
            raise UserError(f"the train split of {contender.name}", "validation or test")
        hashes = hashes - {exam.data_hash}  # splits of one set share no family
    seen = {split: np.zeros(len(exam.problems), bool) for split in TRAINED}
    missing = set(hashes)
    for path in root.glob("*/manifest.json"):
        try:
            manifest = read_manifest(path.parent)
        except UserError:
            continue  # a data set that is damaged is no matter here
        if manifest.hash in hashes:
            missing.discard(manifest.hash)
            for split in (split for split in TRAINED if manifest.rows[split] and _comparable(path.parent, manifest, exam)):
                seen[split] |= np.isin(exam.problems.family, open_split(path.parent, split).family)
    return seen, not missing


def _comparable(folder: Path, manifest: Manifest, exam: Exam) -> bool:
    """Whether problems of a data set can be problems of the exam: those of another task or of another size are others, whatever their families."""
    return manifest.plan.task == exam.task.name and map_split(folder, manifest, "train").prompt.shape[1:] == exam.problems.prompt.shape[1:]

"""Checkpoints: safetensors weights, which cannot run code, and a JSON that says what they are. The JSON is written last, so what it names is whole.

A run's folder holds two: `model` (averaged weights, the best on validation so far) and `state` (all that is needed to go on exactly). What is larger than
`PART` lies in numbered parts, which are pieces of one safetensors file: so a state can move between machines that take small files only. Tensors pass
through one after the other, in both directions (`train.pieces`): a checkpoint costs no second copy of them in memory.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from bdh_reason import __version__
from bdh_reason.errors import RunError, UserError, unknown
from bdh_reason.files import replace, writing
from bdh_reason.train import pieces, ranks

SCHEMA = 1
PART = 15_000_000  # bytes
RELEASED = Path(__file__).resolve().parents[2] / "results" / "checkpoints"  # of the clone, wherever the command is run


@dataclass(frozen=True)
class Card:
    """What a checkpoint is: the whole recipe, the optimiser step, the data it saw, the validation score (None before the first: exact_match,
    of a text bits_per_byte, of parts that differ in this what `Validation` says), FLOPs spent.

    `parents` are the cards, with names and SHA-256, of the models this one was made of, and FLOPs count theirs: of both where it was merged (its recipe and
    data_hash are the first one's, its steps the sum of theirs), and of the one whose weights its training started with. `others`: of a run of several
    parts the data of all but the first.
    """

    recipe: dict[str, Any]
    step: int
    data_hash: str
    validation: float | None
    train_flops: float
    wandb_id: str
    parents: list[dict[str, Any]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def content(self) -> dict[str, Any]:
        """The card as its JSON has it: without parents and other data where there are none."""
        return {key: value for key, value in asdict(self).items() if key not in ("parents", "others") or value}

    def data(self) -> set[str]:
        """The hashes of all data sets that this model, its parents and theirs were trained on."""
        return {self.data_hash, *self.others}.union(*(_ancestor(parent).data() for parent in self.parents))

    def lessons(self) -> list[tuple[dict[str, Any], list[str]]]:
        """The recipes of this model, its parents and theirs, each with the hashes of the data of its parts; a run of no steps taught nothing."""
        own = [(self.recipe, [self.data_hash, *self.others])] if self.step else []
        return [*own, *(lesson for parent in self.parents for lesson in _ancestor(parent).lessons())]


def _ancestor(about: dict[str, Any]) -> Card:
    return Card(**{key: value for key, value in about.items() if key not in ("name", "sha256")})


def _begin(card: Card) -> Any:
    """The SHA-256 of the card, which goes on with that of the weights: neither can be changed alone."""
    return hashlib.sha256(json.dumps(card.content(), sort_keys=True).encode())


def write(folder: Path, kind: str, card: Card, tensors: dict[str, Tensor]) -> Path:
    """Writes `kind`.json and its weights, then removes the ones before. Raises RunError rather than replace good weights by non-finite ones.

    Of the processes of one run the first writes; all must call it, because each may hold a shard of the tensors.
    """
    if bad := pieces.not_finite(tensors):
        raise RunError(f"{bad} is not finite at step {card.step}: nothing was written, the last good checkpoint in {folder} stands")
    if ranks.rank():
        list(map(len, pieces.content(tensors)))
        return folder / f"{kind}.json"
    weights = folder / f"{kind}-{card.step:07d}.safetensors"
    parts, sha256 = _parts(weights, -(-pieces.size(tensors) // PART)), _begin(card)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for part, content in zip(parts, pieces.cut(pieces.content(tensors), PART), strict=True):
            sha256.update(content)
            replace(part, content)
        about = {"schema": SCHEMA, "package": __version__, "weights": weights.name, "parts": len(parts), "sha256": sha256.hexdigest(), **card.content()}
        replace(folder / f"{kind}.json", (json.dumps(about, indent=1) + "\n").encode())
        for older in set(folder.glob(f"{kind}-*.safetensors*")) - set(parts):
            older.unlink()
    return folder / f"{kind}.json"


def _parts(weights: Path, count: int) -> list[Path]:
    """The files that the weights lie in."""
    return [weights] if count == 1 else [weights.with_name(f"{weights.name}.{number}") for number in range(count)]


def released() -> list[str]:
    """The names of the checkpoints that came with the clone."""
    return sorted(path.parent.name for path in RELEASED.glob("*/model.json"))


def locate(reference: str) -> Path:
    """The JSON that a reference names: a run's folder, its JSON, or a released name. Raises UserError where there is none."""
    path = next((path for path in (Path(reference), RELEASED / reference) if path.exists()), None)
    if path is None:
        raise unknown("model", reference, released(), "results/checkpoints, and no such folder of a run")
    if path.is_dir():
        path /= "model.json"
    if path.suffix != ".json":
        raise UserError(f"{path} is no checkpoint", "the folder of a run, or its model.json")
    return path


class Checkpoint(NamedTuple):
    """What was read: the card, the tensors by name, and the SHA-256 that names both."""

    card: Card
    tensors: dict[str, Tensor]
    sha256: str


def read(path: Path) -> Checkpoint:
    """The checkpoint that a JSON describes. Raises UserError where it is missing, damaged, cut short or of another schema version."""
    card, parts, sha256 = _described(path)
    found = _begin(card)
    tensors = pieces.read(parts, found)
    if tensors is None or found.hexdigest() != sha256:
        held = sum(part.stat().st_size for part in parts)
        raise UserError(f"{path} and its weights ({held} bytes) are cut short or changed", "the files as training wrote them", "--resume never starts again")
    return Checkpoint(card, tensors, sha256)


def read_card(path: Path) -> Card:
    """What a checkpoint says of itself, without its weights: nobody has compared their SHA-256. Raises UserError as `read` does but for that."""
    return _described(path)[0]


def _described(path: Path) -> tuple[Card, list[Path], str]:
    """The card that a JSON holds, the files of its weights, and the SHA-256 of both."""
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}", "a folder or .json that training wrote", "`bdh-reason train` writes one")
    try:
        about = json.loads(path.read_bytes())
        schema, name, sha256 = about.pop("schema"), Path(about.pop("weights")).name, about.pop("sha256")
        parts = _parts(path.with_name(name), int(about.pop("parts", 1)))
        about.pop("package")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path} is damaged", "the file as training wrote it", "`bdh-reason train --resume never` begins anew") from error
    if schema != SCHEMA:
        raise UserError(f"{path} has schema version {schema}", f"{SCHEMA}, the version of bdh-reason {__version__}", "train again or use that version")
    if missing := [part for part in parts if not part.is_file() or not part.stat().st_size]:
        raise UserError(f"{missing[0]} is missing", "the file as training wrote it, beside its JSON")
    try:
        return Card(**about), parts, sha256
    except TypeError as error:
        raise UserError(f"{path} is damaged: {error}", "the file as training wrote it") from error

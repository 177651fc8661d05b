"""Checkpoints: safetensors weights, which cannot run code, and a JSON that says what they are. The JSON is written last, so what it names is whole.

A run's folder holds two: `model` (averaged weights, the best on validation so far) and `state` (all that is needed to go on exactly).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from bdh_reason import __version__
from bdh_reason.errors import RunError, UserError
from bdh_reason.files import replace, writing

SCHEMA = 1


@dataclass(frozen=True)
class Card:
    """What a checkpoint is: the whole recipe, the optimiser step, the data it saw, validation exact_match (None before the first), FLOPs spent."""

    recipe: dict[str, Any]
    step: int
    data_hash: str
    validation: float | None
    train_flops: float
    wandb_id: str


def write(folder: Path, kind: str, card: Card, tensors: dict[str, Tensor]) -> Path:
    """Writes `kind`.json and its weights, then removes the ones before. Raises RunError rather than replace good weights by non-finite ones."""
    bad = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if bad:
        raise RunError(f"{bad[0]} is not finite at step {card.step}: nothing was written, the last good checkpoint in {folder} stands")
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    weights = folder / f"{kind}-{card.step:07d}.safetensors"
    about = {"schema": SCHEMA, "package": __version__, "weights": weights.name, "sha256": hashlib.sha256(content).hexdigest(), **asdict(card)}
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        replace(weights, content)
        replace(folder / f"{kind}.json", (json.dumps(about, indent=1) + "\n").encode())
        for older in folder.glob(f"{kind}-*.safetensors"):
            if older != weights:
                older.unlink()
    return folder / f"{kind}.json"


def read(path: Path) -> tuple[Card, dict[str, Tensor]]:
    """The card and the tensors of a checkpoint's JSON. Raises UserError where it is missing, damaged, cut short or of another schema version."""
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}", "a folder or .json that training wrote", "`bdh-reason train` writes one")
    try:
        about = json.loads(path.read_bytes())
        schema, name, digest = about.pop("schema"), about.pop("weights"), about.pop("sha256")
        about.pop("package")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path} is damaged", "the file as training wrote it") from error
    if schema != SCHEMA:
        raise UserError(f"{path} has schema version {schema}", f"{SCHEMA}, the version of bdh-reason {__version__}", "train again or use that version")
    weights = path.with_name(name)
    content = weights.read_bytes() if weights.is_file() else b""
    if hashlib.sha256(content).hexdigest() != digest:
        found = f"is cut short or changed ({len(content)} bytes)" if content else "is missing"
        raise UserError(f"{weights} {found}", "the file as training wrote it, beside its JSON")
    try:
        return Card(**about), load(content)
    except (TypeError, SafetensorError) as error:
        raise UserError(f"{path} is damaged: {error}", "the file as training wrote it") from error

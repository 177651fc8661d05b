"""Two checkpoints become one, whose card tells of both: `eval` and `solve` take it like any other, and refuse what either parent was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bdh_reason import discover
from bdh_reason.bdh import Model
from bdh_reason.bdh.surgery import concatenate, grow
from bdh_reason.errors import UserError
from bdh_reason.evaluate.contender import Contender, checkpoint
from bdh_reason.train.checkpoint import Card, read, write
from bdh_reason.train.recipe import Recipe

COMMON = ("view", "reading", "loop")  # of the recipes, beside the task; what the models have in common is `surgery.alike`'s to say


def merge(a: str, b: str, out: Path) -> Model:
    """Joins the models of two references neuron by neuron and writes `model` into the folder `out`; returns the joined model.

    Raises UserError for models that are not bdh or unlike each other, and where `out` holds anything but this very merge.
    """
    parents = checkpoint(a), checkpoint(b)
    joined = concatenate(*map(_model, parents))
    ours, theirs = (_kind(parent.recipe) for parent in parents)
    if differ := [key for key in ours if ours[key] != theirs[key]]:
        given, allowed = (", ".join(f"{key} = {one[key]}" for key in differ) for one in (theirs, ours))
        raise UserError(f"{b} with {given}", f"{allowed}, as in {a}")
    return _put(parents, joined, out)


def join(a: str, b: str, out: Path) -> Model:
    """`merge` of models that were trained on different tasks: the card's recipe is the first one's. Raises UserError as `merge` does."""
    parents = checkpoint(a), checkpoint(b)
    return _put(parents, concatenate(*map(_model, parents)), out)


def enlarge(reference: str, n: int, seed: int, out: Path) -> Model:
    """The same function with n neurons in all, as `model` in the folder `out`: it took no step of its own. Raises UserError as `merge` and `grow` do."""
    parent = checkpoint(reference)
    grown, recipe = grow(_model(parent), n, seed), parent.recipe.model_dump(mode="json")
    recipe["model"]["options"] |= {"n": n, "pieces": list(grown.config.pieces)}
    card = parent.card
    _write(out, Card(recipe, 0, card.data_hash, None, card.train_flops, "", [_about(parent)], card.others), grown)
    return grown


def _put(parents: tuple[Contender, Contender], joined: Model, out: Path) -> Model:
    _write(out, _card(parents, joined), joined)
    return joined


def _write(out: Path, card: Card, model: Model) -> None:
    if out.exists() and not _is(out, card):
        raise UserError(f"{out} exists and holds something else", "a new or an empty folder")
    write(out, "model", card, model.state_dict())


def _kind(recipe: Recipe) -> dict[str, Any]:
    """What two recipes must have in common: of each part where there are several."""
    kinds = {"task": [discover.resolve(one.task.name)[0] for one in recipe.each], **{key: [getattr(one, key) for one in recipe.each] for key in COMMON}}
    return {key: values if len(values) > 1 else values[0] for key, values in kinds.items()}


def _model(parent: Contender) -> Model:
    model = parent.reasoner(parent.recipe.each[0].subject(), "cpu").model
    if not isinstance(model, Model):
        raise UserError(f"{parent.name} is a {model.name}", "models named bdh: their neurons can stand side by side")
    return model


def _card(parents: tuple[Contender, Contender], joined: Model) -> Card:
    """The first parent's recipe with the joined model's options, steps and FLOPs of both, no validation, and both parents' cards whole."""
    first, second = (parent.card for parent in parents)
    recipe = parents[0].recipe.model_dump(mode="json")
    recipe["name"] = "-".join(dict.fromkeys(parent.recipe.name for parent in parents))
    recipe["match"] = ""
    recipe["model"]["options"] |= {"n": joined.config.n, "pieces": list(joined.config.pieces)}
    known = [_about(parent) for parent in parents]
    return Card(recipe, first.step + second.step, first.data_hash, None, first.train_flops + second.train_flops, "", known, first.others)


def _about(parent: Contender) -> dict[str, Any]:
    return {"name": parent.name, "sha256": parent.sha256, **parent.card.content()}


def _is(out: Path, card: Card) -> bool:
    """Whether a folder is empty or holds the checkpoint of this card."""
    if not out.is_dir():
        return False
    return not any(out.iterdir()) or ((out / "model.json").is_file() and read(out / "model.json").card.content() == card.content())

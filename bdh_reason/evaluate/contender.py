"""Who answers: a trained checkpoint or a guess. A reference is a checkpoint's folder or JSON, a name under results/checkpoints, or a guess's name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bdh_reason import discover
from bdh_reason.errors import UserError
from bdh_reason.reason.loop import Reasoner
from bdh_reason.task import Subject
from bdh_reason.train.checkpoint import Card, locate, read, released
from bdh_reason.train.recipe import Recipe, parse
from bdh_reason.train.sections import Part


@dataclass(frozen=True)
class Contender:
    """A checkpoint that can be put on any board of its view: its folder, its card, its recipe and its weights."""

    name: str
    folder: Path
    card: Card
    recipe: Recipe
    weights: dict[str, Any]
    sha256: str

    def of(self, task: str) -> tuple[Recipe, ...]:
        """The recipes of those parts of its run that were trained on a task. Raises UserError where there is none."""
        found = tuple(one for one in self.recipe.each if discover.resolve(one.task.name)[0] == task)
        if not found:
            known = sorted({discover.resolve(one.task.name)[0] for one in self.recipe.each})
            raise UserError(f"{self.name} was trained on {' and '.join(known)}, not on {task}", ", ".join(known))
        return found

    def like(self, task: Subject) -> Recipe:
        """The recipe of the part with this task's options, or else of the first part that was trained on it; raises as `of` does."""
        found = self.of(task.name)
        return next((one for one in found if one.subject().config == task.config), found[0])

    def lessons(self) -> list[tuple[Recipe, str]]:
        """What this model, its parents and theirs were trained on: the recipe of each part and the hash of its data."""
        cards = self.card.lessons()
        return [(one, data_hash) for recipe, hashes in cards for one, data_hash in zip(parse(recipe, self.name).each, hashes)]

    def horizons(self, task: str) -> list[int] | None:
        """The horizons of a task that it, its parents and theirs were trained on; None for a task without."""
        if not (option := discover.kind(task).horizon):
            return None
        return sorted({getattr(one.subject().config, option) for one, _ in self.lessons() if discover.resolve(one.task.name)[0] == task})

    def before(self, part: Part) -> Contender:
        """The same weights before what a part of a run would be, trained on it or not."""
        return replace(self, recipe=self.recipe.of(part).model_copy(update={"name": self.recipe.name}))

    def reasoner(self, task: Subject, device: str) -> Reasoner:
        """The model before the board of `task`, in the view and the reading it was trained in. On a CPU its weights are this contender's, not a copy.

        Raises UserError where the weights do not fit that board.
        """
        own = self.like(task)
        with torch.device("meta"):
            model = self.recipe.reasoners()[0].model
        try:
            model.load_state_dict(self.weights, assign=True)
        except RuntimeError as error:
            raise UserError(f"{self.name}: the weights do not fit its recipe", "a checkpoint as training wrote it") from error
        board = task.board(own.view, own.reading).within(model.vocabulary)
        model.check(board)
        return Reasoner(model.to(device).eval(), board, own.loop)


def checkpoint(reference: str) -> Contender:
    """The contender that a reference names. Raises UserError for one that does not exist or cannot be read, and for a guess."""
    if reference in discover.guesses() and not Path(reference).exists():
        raise UserError(f"{reference} is a guess", f"a trained model: the folder of a run, or {', '.join(released())}")
    path = locate(reference)
    card, weights, sha256 = read(path)
    name = path.parent.name if path.stem == "model" else f"{path.parent.name}/{path.stem}"
    if path.stem == "state":
        average = {key.removeprefix("average."): value for key, value in weights.items() if key.startswith("average.")}
        weights = average or {key.removeprefix("weight."): value for key, value in weights.items() if key.startswith("weight.")}
    return Contender(name, path.parent, card, parse(card.recipe, str(path)), weights, sha256)

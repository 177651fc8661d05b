"""Who answers: a trained checkpoint or a guess. A reference is a checkpoint's folder or JSON, a name under results/checkpoints, or a guess's name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bdh_reason import discover
from bdh_reason.errors import UserError
from bdh_reason.reason.loop import Reasoner
from bdh_reason.task import Task
from bdh_reason.train.checkpoint import Card, locate, read, released
from bdh_reason.train.recipe import Recipe, parse


@dataclass(frozen=True)
class Contender:
    """A checkpoint that can be put on any board of its view: its folder, its card, its recipe and its weights."""

    name: str
    folder: Path
    card: Card
    recipe: Recipe
    weights: dict[str, Any]
    sha256: str

    def reasoner(self, task: Task, device: str) -> Reasoner:
        """The model before the board of `task`, in its own view and reading. Raises UserError where the weights do not fit that board."""
        home = self.recipe.build_task()
        if task.name != home.name:
            raise UserError(f"{self.name} was trained on {home.name}, not on {task.name}", home.name)
        model = self.recipe.build_model(home.board(self.recipe.view, self.recipe.reading))
        try:
            model.load_state_dict(self.weights)
        except RuntimeError as error:
            raise UserError(f"{self.name}: the weights do not fit its recipe", "a checkpoint as training wrote it") from error
        board = task.board(self.recipe.view, self.recipe.reading)
        model.check(board)
        return Reasoner(model.to(device).eval(), board, self.recipe.loop)


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
